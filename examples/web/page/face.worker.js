// Finds and cuts the face in frames, off the page's thread: YuNet by OpenCV.js, as Python's OpenCV does.

let cv, detector, rules, FaceTracker, tracker;

async function load(told) {
  rules = told;
  ({FaceTracker} = await import('./tracker.js'));
  const weights = new Uint8Array(await (await fetch('yunet.onnx')).arrayBuffer());
  importScripts('opencv.js');
  cv = self.cv; // is no Promise, though it has `then`: awaiting it never ends
  if (!cv.Mat) await new Promise(resolve => (cv.onRuntimeInitialized = resolve));
  cv.FS_createDataFile('/', 'yunet.onnx', weights, true, false, false);
  const size = new cv.Size(rules.longest, rules.longest);
  detector = new cv.FaceDetectorYN('yunet.onnx', '', size, rules.confidence, rules.overlap, rules.most);
  detect(new ImageData(rules.longest, rules.longest)); // the first time takes long
}

// ImageData → boxes [x, y, width, height], in its pixels.
function detect(frame) {
  const scale = Math.min(1, rules.longest / Math.max(frame.width, frame.height));
  const [width, height] = [frame.width, frame.height].map(side => Math.max(1, Math.round(scale * side)));
  if (Math.min(width, height) < rules.least) return [];
  const [whole, small, colours, faces] = [cv.matFromImageData(frame), new cv.Mat(), new cv.Mat(), new cv.Mat()];
  const size = new cv.Size(width, height);
  cv.cvtColor(whole, colours, cv.COLOR_RGBA2BGR);
  cv.resize(colours, small, size, 0, 0, cv.INTER_AREA);
  detector.setInputSize(size);
  detector.detect(small, faces);
  const found = Array.from({length: faces.rows}, (_, row) => {
    return Array.from(faces.data32F.subarray(row * faces.cols, row * faces.cols + 4), place => place / scale);
  });
  for (const mat of [whole, small, colours, faces]) mat.delete();
  return found.filter(box => box.every(Number.isFinite) && box[2] > 0 && box[3] > 0);
}

// The square around the box's centre, resized by area, in [0, 1]; beyond the frame its nearest pixel.
function crop(frame, [x, y, width, height]) {
  const side = Math.max(1, Math.round(Math.max(width, height) * (1 + 2 * rules.margin)));
  const left = Math.round(x + width / 2 - side / 2);
  const top = Math.round(y + height / 2 - side / 2);
  const pixels = new Uint32Array(frame.data.buffer, frame.data.byteOffset, frame.width * frame.height);
  const within = (at, size) => Math.min(Math.max(at, 0), size - 1);
  const cut = new Uint32Array(side * side);
  for (let row = 0; row < side; row++) {
    const from = within(top + row, frame.height) * frame.width;
    for (let column = 0; column < side; column++) {
      cut[row * side + column] = pixels[from + within(left + column, frame.width)];
    }
  }
  const square = new cv.Mat(side, side, cv.CV_8UC4);
  square.data.set(new Uint8Array(cut.buffer));
  const resized = new cv.Mat();
  cv.resize(square, resized, new cv.Size(rules.size, rules.size), 0, 0, cv.INTER_AREA);
  cv.cvtColor(resized, resized, rules.grey ? cv.COLOR_RGBA2GRAY : cv.COLOR_RGBA2RGB);
  const picture = Float32Array.from(resized.data, value => value / 255);
  square.delete();
  resized.delete();
  return picture;
}

self.onmessage = async ({data: {id, load: told, start, frame, time}}) => {
  try {
    let answer;
    if (told) await load(told);
    else if (start) tracker = new FaceTracker(rules, detect, crop, start.confirmations);
    else answer = tracker.next(frame, time);
    self.postMessage({id, answer});
  } catch (error) {
    self.postMessage({id, error: typeof error === 'number' ? cv.exceptionFromPtr(error).msg : String(error)});
  }
};
