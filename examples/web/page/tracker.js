// One face followed through frames, as keras_lmf.media.faces.FaceTracker does.

export class FaceTracker {
  // `rules` are its settings; detect(frame) gives boxes [x, y, width, height]; crop(frame, box) the model's picture of
  // what is in one.
  constructor(rules, detect, crop) {
    Object.assign(this, {rules, detect, crop});
    this.track = null; // {detection, box, crop, found}, `found` when it was detected last
    this.candidates = [];
    this.time = this.detected = -Infinity;
  }

  // {box, crop} of the face in the next frame, or null. Times are seconds and rise.
  next(frame, time) {
    const seen = this.step(frame, time);
    this.time = time;
    return seen;
  }

  step(frame, time) {
    const {rules, track} = this;
    if (track) {
      const due = track.found < this.detected || time >= this.detected + rules.interval - rules.early;
      const seen = due ? null : this.kept(frame, time);
      if (seen) return seen;
    }
    const boxes = this.detect(frame);
    this.detected = time;
    if (track) {
      const nearest = most(boxes, box => overlap(track.detection, box));
      if (nearest && overlap(track.detection, nearest) >= rules.same) {
        track.detection = nearest;
        track.box = this.smoothed(time);
        track.crop = this.crop(frame, track.box);
        track.found = time;
        return {box: track.box, crop: track.crop};
      }
      const seen = time <= track.found + rules.hold + rules.early ? this.kept(frame, time) : null;
      if (seen) return seen;
    }
    return this.search(frame, boxes, time);
  }

  // The face where the last detection had it; null if what is there doesn't look like it.
  kept(frame, time) {
    const {track, rules} = this;
    const box = this.smoothed(time);
    const crop = this.crop(frame, box);
    if (resemblance(crop, track.crop) < rules.alike) return null;
    track.box = box;
    return {box, crop};
  }

  smoothed(time) {
    const share = 1 - Math.exp(-(time - this.time) / this.rules.smoothing);
    return this.track.box.map((place, i) => place + share * (this.track.detection[i] - place));
  }

  // Without a face that is followed: the largest of those that were detected often enough.
  search(frame, boxes, time) {
    this.track = null;
    const before = this.candidates;
    this.candidates = boxes.map(box => {
      const same = before.filter(candidate => overlap(box, candidate.box) >= this.rules.same);
      return {box, count: 1 + Math.max(0, ...same.map(({count}) => count))};
    });
    const sure = this.candidates.filter(({count}) => count >= this.rules.confirmations);
    if (!sure.length) return null;
    const {box} = most(sure, ({box}) => box[2] * box[3]);
    this.candidates = [];
    const crop = this.crop(frame, box);
    this.track = {detection: box, box, found: time, crop};
    return {box, crop};
  }
}

// The first of the things with the largest value; undefined of none.
function most(things, value) {
  return things.reduce((best, thing) => (best !== undefined && value(best) >= value(thing) ? best : thing), undefined);
}

// Intersection over union.
function overlap(one, other) {
  const side = axis =>
    Math.min(one[axis] + one[axis + 2], other[axis] + other[axis + 2]) - Math.max(one[axis], other[axis]);
  const shared = Math.max(0, side(0)) * Math.max(0, side(1));
  return shared / (one[2] * one[3] + other[2] * other[3] - shared);
}

// Pearson's correlation of two pictures; 0 where one of them is a single colour.
function resemblance(one, other) {
  const [a, b] = [one, other].map(picture => {
    const mean = picture.reduce((sum, value) => sum + value, 0) / picture.length;
    return Float64Array.from(picture, value => value - mean);
  });
  const product = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  const scale = Math.sqrt(product(a, a) * product(b, b));
  return scale > 1e-9 ? product(a, b) / scale : 0;
}
