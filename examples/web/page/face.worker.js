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
  next(new ImageData(rules.longest, rules.longest), detect); // the first time takes long
}

// What `look` finds in a frame (ImageData), given as a Mat of blue, green and red.
function next(frame, look) {
  const picture = cv.matFromImageData(frame);
  cv.cvtColor(picture, picture, cv.COLOR_RGBA2BGR);
  try {
    return look(picture);
  } finally {
    picture.delete();
  }
}

// Boxes [x, y, width, height], in the picture's pixels.
function detect(picture) {
  const scale = Math.min(1, rules.longest / Math.max(picture.cols, picture.rows));
  const [width, height] = [picture.cols, picture.rows].map(side => Math.max(1, Math.round(scale * side)));
  if (Math.min(width, height) < rules.least) return [];
  const [small, faces] = [new cv.Mat(), new cv.Mat()];
  const size = new cv.Size(width, height);
  cv.resize(picture, small, size, 0, 0, cv.INTER_AREA);
  detector.setInputSize(size);
  detector.detect(small, faces);
  const found = Array.from({length: faces.rows}, (_, row) => {
    return Array.from(faces.data32F.subarray(row * faces.cols, row * faces.cols + 4), place => place / scale);
  });
  for (const mat of [small, faces]) mat.delete();
  return found.filter(box => box.every(Number.isFinite) && box[2] > 0 && box[3] > 0);
}

// The square around the box's centre, resized by area, in [0, 1]; beyond the picture its nearest pixel.
function crop(picture, [x, y, width, height]) {
  const side = Math.max(1, Math.round(Math.max(width, height) * (1 + 2 * rules.margin)));
  const [left, top] = [x + width / 2, y + height / 2].map(centre => Math.round(centre - side / 2));
  const cut = new cv.Mat();
  const middle = (side - 1) / 2; // of the pixels' centres: nothing is interpolated
  cv.getRectSubPix(picture, new cv.Size(side, side), new cv.Point(left + middle, top + middle), cut);
  cv.resize(cut, cut, new cv.Size(rules.size, rules.size), 0, 0, cv.INTER_AREA);
  cv.cvtColor(cut, cut, rules.grey ? cv.COLOR_BGR2GRAY : cv.COLOR_BGR2RGB);
  const values = Float32Array.from(cut.data, value => value / 255);
  cut.delete();
  return values;
}

self.onmessage = async ({data: {load: told, start, frame, time}, ports: [port]}) => {
  try {
    let answer;
    if (told) await load(told);
    else if (start) tracker = new FaceTracker({...rules, ...start}, detect, crop);
    else answer = next(frame, picture => tracker.next(picture, time));
    port.postMessage({answer});
  } catch (error) {
    port.postMessage({error: typeof error === 'number' ? cv.exceptionFromPtr(error).msg : String(error)});
  }
};
