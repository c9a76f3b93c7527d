// A thin HTTP layer: it hands each request's key to the database, which decides what the caller sees.
//
// Settings, from the environment: libpq's PGHOST, PGPORT, PGDATABASE; PORT (default 3000); JWT_SECRET (without it
// there are no sessions).

import { createServer } from 'node:http';

import { HttpError, answerTo } from './answers.js';
import { pool, transact } from './database.js';
import { readSchema, route } from './routes.js';
import { claimsOf } from './session.js';

const MAX_BODY = 1024 * 1024;
const HARMLESS_ID = /^(?!.*revdesk_)[0-9a-z._:-]{1,128}$/i;
const KEY = /revdesk_[0-9a-f]/i;

async function readJson(incoming) {
  const chunks = [];
  let size = 0;
  for await (const chunk of incoming) {
    size += chunk.length;
    if (size > MAX_BODY) {
      throw new HttpError(413, 'too_large', 'request body too large', { Connection: 'close' });
    }
    chunks.push(chunk);
  }
  if (size === 0) {
    return undefined;
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new HttpError(400, 'bad_request', 'the body is not JSON');
  }
}

/** The client's id of the request; undefined without one that may be logged and sent back. */
function requestId(incoming) {
  const id = incoming.headers['x-request-id'];
  return HARMLESS_ID.test(id ?? '') ? id : undefined;
}

async function readRequest(incoming) {
  // Slices, not new URL(): a request's target may be no valid URL.
  const [path, ...query] = incoming.url.split('?');
  const text = query.join('?');
  if (KEY.test(text)) {
    throw new HttpError(400, 'invalid_request', 'malformed request');
  }
  const { cookie, ...headers } = incoming.headers;
  return {
    method: incoming.method,
    path,
    query: new URLSearchParams(text),
    headers: { ...headers, 'x-request-id': requestId(incoming) },
    claims: claimsOf(headers),
    body: await readJson(incoming),
    readOnly: incoming.method === 'GET',
  };
}

// PostgREST's format of the setting response.headers: [{"name": "value"}, ...].
function parseHeaders(text) {
  return Object.assign({}, ...JSON.parse(text ?? '[]'));
}

async function answer(schema, incoming, isGone) {
  const request = await readRequest(incoming);
  const { text, values, status } = route(schema, request);
  const [row] = await transact(request, (query) => query(text, values), isGone);
  return { status, headers: parseHeaders(row.headers), body: row.body };
}

function send(incoming, outgoing, { status, headers, body }) {
  const id = requestId(incoming);
  outgoing.writeHead(status, {
    ...(id && { 'X-Request-Id': id }),
    ...headers,
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  });
  outgoing.end(body);
}

async function serve(schema, incoming, outgoing) {
  try {
    send(incoming, outgoing, await answer(schema, incoming, () => outgoing.destroyed));
  } catch (error) {
    // Not worth a line in the log if the client has left.
    if (!outgoing.destroyed) {
      send(incoming, outgoing, answerTo(error));
    }
  }
}

const schema = await readSchema(pool);
const server = createServer((incoming, outgoing) => {
  // An error that makes no answer, with a status or a header that HTTP does not have, is one of this server's.
  serve(schema, incoming, outgoing).catch((error) => send(incoming, outgoing, answerTo(error)));
});
server.requestTimeout = 30_000;

// Loopback only: put a proxy with TLS in front (../postgrest/nginx.conf).
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});

process.on('SIGTERM', () => {
  server.close(() => pool.end());
  server.closeIdleConnections();
});
