// Asks a worker one question; promises its answer. The worker answers each at the port that comes with it.
export function ask(worker, question) {
  const {port1, port2} = new MessageChannel();
  const ended = new AbortController(); // else the worker would hold on to every question
  return new Promise((resolve, reject) => {
    worker.addEventListener('error', ({message}) => reject(new Error(message)), {signal: ended.signal});
    port1.onmessage = ({data: {answer, error}}) => {
      port1.close();
      if (error) reject(new Error(error));
      else resolve(answer);
    };
    worker.postMessage(question, [port2]);
  }).finally(() => ended.abort());
}
