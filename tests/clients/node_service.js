// The echo and the stream for Node: `node node_service.js PORT`.
const http = require("http");

http
  .createServer((request, response) => {
    if (request.url === "/stream") {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      for (let number = 0; number < 5; number++) response.write(`data: ${number}\n\n`);
      response.end();
      return;
    }
    response.setHeader("X-Method", request.method);
    request.pipe(response);
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
