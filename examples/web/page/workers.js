// Questions to a worker, each with its answer.

export class Asked {
  constructor(script) {
    this.worker = new Worker(script);
    this.open = new Map();
    this.count = 0;
    this.worker.onmessage = ({data: {id, answer, error}}) => {
      const {resolve, reject} = this.open.get(id);
      this.open.delete(id);
      if (error) reject(new Error(error));
      else resolve(answer);
    };
    this.worker.onerror = event => {
      for (const {reject} of this.open.values()) reject(new Error(event.message));
      this.open.clear();
    };
  }

  ask(question, transferred = []) {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.open.set(id, {resolve, reject});
      this.worker.postMessage({id, ...question}, transferred);
    });
  }
}
