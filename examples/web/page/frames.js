// What the network of one frame made of the pictures that it saw last: windows that follow one another share most.

const WINDOWS = 4; // whose pictures are kept

export class Frames {
  // network(picture) promises its features; a window has so many frames.
  constructor(network, frames) {
    Object.assign(this, {network, most: WINDOWS * frames, kept: []});
  }

  // The features of a window's pictures (Float32Array), one after the other.
  async features(pictures, size) {
    const rows = [];
    for (let from = 0; from < pictures.length; from += size) rows.push(await this.row(pictures.subarray(from, from + size)));
    const features = new Float32Array(rows.length * rows[0].length);
    rows.forEach((row, frame) => features.set(row, frame * row.length));
    return features;
  }

  async row(picture) {
    const seen = this.kept.find(one => picture.every((value, i) => value === one.picture[i]));
    const found = seen ?? {picture, row: await this.network(picture)};
    this.kept = [found, ...this.kept.filter(one => one !== found)].slice(0, this.most);
    return found.row;
  }
}
