// Concurrent clients of an HTTP layer, with keys of every scope, that know what each may see.
//
//   node clients.mjs plan.json      prints the counts as JSON
//
// The plan, made by 022_node.pl: port, clients, requests (of each client), seed, and callers: name, headers, status (of
// every request, if it is refused), access, tenants and user (whose rows it sees), target (a tenant to write to), trust
// (the ids that it sees in a table that does not change), own and foreign (ids in api.calls), scope.

import { readFileSync } from 'node:fs';
import http from 'node:http';

const plan = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const counts = {
  requests: 0, rows: 0, aborted: 0, foreign_rows: 0, wrong_statuses: 0, wrong_bodies: 0, wrong_request_ids: 0, failed: 0,
};
const examples = [];

// mulberry32: the same requests each time, though not in the same order on the server.
function makeRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function complain(kind, caller, request, answer) {
  counts[kind] += 1;
  if (examples.length < 5) {
    examples.push({ kind, caller: caller.name, request, status: answer?.status, body: answer?.body?.slice(0, 500) });
  }
}

// Send a request; with abortAfter, leave after so many milliseconds.
function send(agent, { method, path, headers, body, abortAfter }) {
  return new Promise((resolve) => {
    const outgoing = http.request({ agent, port: plan.port, host: '127.0.0.1', method, path, headers }, (incoming) => {
      const chunks = [];
      incoming.on('data', (chunk) => chunks.push(chunk));
      incoming.on('error', (error) => resolve({ error }));
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode, headers: incoming.headers, body: Buffer.concat(chunks).toString() }));
    });
    outgoing.on('error', (error) => resolve({ error }));
    if (abortAfter !== undefined) {
      setTimeout(() => outgoing.destroy(), abortAfter);
    }
    outgoing.end(body);
  });
}

// The requests that a client draws from. status: what a caller with access "write" gets; writes: refused to "read".
function drawRequest(caller, random, stamp) {
  const pick = (list) => list[Math.floor(random() * list.length)];
  const target = caller.target;
  const insert = (row, status) => ({ method: 'POST', path: '/calls', json: { caller: stamp, ...row }, status, writes: true });
  return pick([
    () => ({ method: 'GET', path: '/trust', status: 200, exact: caller.trust }),
    () => ({ method: 'GET', path: '/trust?order=id.desc', status: 200, exact: caller.trust }),
    () => ({ method: 'GET', path: `/calls?limit=${pick([1, 20, 1000])}&order=id.desc`, status: 200 }),
    () => ({ method: 'GET', path: '/calls', status: 200, atLeast: caller.own }),
    () => ({ method: 'GET', path: `/calls?id=eq.${pick(caller.foreign)}`, status: 200, exact: [] }),
    () => ({ method: 'GET', path: '/account', status: 200, scope: caller.scope }),
    () => insert(target, 201),
    () => insert(target, 201),
    () => insert({ tenant_id: pick(caller.foreign_tenants), owner_id: null }, 403),
    () => insert({ ...target, status: 'impossible' }, 400),
    () => ({ method: 'PATCH', path: `/calls?id=eq.${pick(caller.foreign)}`, json: { status: 'stolen' }, status: 200, writes: true, exact: [] }),
    () => ({ method: 'DELETE', path: `/calls?id=eq.${pick(caller.foreign)}`, status: 200, writes: true, exact: [] }),
    () => {
      const id = pick(caller.own);
      if (id === undefined) {
        return { method: 'GET', path: '/calls', status: 200 };
      }
      return { method: 'PATCH', path: `/calls?id=eq.${id}`, json: { status: stamp }, status: 200, writes: true, exact: [id] };
    },
    () => ({ method: 'POST', path: '/rpc/slow', json: { seconds: 0.005 }, status: 200, rpc: true }),
    () => ({ method: 'POST', path: '/rpc/fail', json: { reason: stamp }, status: 400, rpc: true }),
    () => ({ method: 'POST', path: '/calls', body: '{"caller":', status: 400, early: true }),
    () => ({ method: 'GET', path: '/secrets', status: 404, early: true }),
    () => ({ method: 'GET', path: '/calls?password=eq.x', status: 400, early: true }),
    () => ({ method: 'GET', path: '/calls?id=eq.nonsense', status: 400 }),
  ])();
}

function expectedStatus(caller, request) {
  // Found wrong before the database is asked who calls.
  if (request.early) {
    return request.status;
  }
  return caller.status ?? (request.writes && caller.access === 'read' ? 403 : request.status);
}

function isInScope(caller, row) {
  return row.tenant_id === null ? row.owner_id === caller.user && caller.user !== null : caller.tenants.includes(row.tenant_id);
}

function checkRows(caller, request, rows) {
  const isTable = /^\/(calls|trust)/.test(request.path);
  const foreign = rows.filter((row) => isTable && !(caller.trust.includes(row.id) && request.path.startsWith('/trust')) && !isInScope(caller, row));
  const ids = new Set(rows.map((row) => row.id));
  counts.rows += rows.length;
  if (foreign.length > 0) {
    return 'foreign_rows';
  }
  const isExact = request.exact === undefined || (request.exact.length === rows.length && request.exact.every((id) => ids.has(id)));
  const isComplete = request.atLeast === undefined || rows.length === 1000 || request.atLeast.every((id) => ids.has(id));
  const isScope = request.scope === undefined || (rows.length === 1 && rows[0].scope === request.scope);
  return isExact && isComplete && isScope ? undefined : 'wrong_bodies';
}

// No error names a tenant of others, not even the one that was sent.
function checkError(caller, body) {
  return caller.foreign_tenants.some((id) => body.includes(id)) ? 'foreign_rows' : undefined;
}

function check(caller, request, id, answer) {
  if (answer.error) {
    return complain('failed', caller, request, { body: String(answer.error) });
  }
  if (answer.headers['x-request-id'] !== id) {
    complain('wrong_request_ids', caller, request, answer);
  }
  const expected = expectedStatus(caller, request);
  counts[`status_${answer.status}`] = (counts[`status_${answer.status}`] ?? 0) + 1;
  if (answer.status !== expected) {
    return complain('wrong_statuses', caller, request, answer);
  }
  const kind = answer.status < 300 ? checkRows(caller, request, JSON.parse(answer.body)) : checkError(caller, answer.body);
  if (kind) {
    complain(kind, caller, request, answer);
  }
}

async function runClient(number) {
  const random = makeRandom(plan.seed + number);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < plan.requests; i += 1) {
    const caller = plan.callers[Math.floor(random() * plan.callers.length)];
    const request = drawRequest(caller, random, `by ${caller.name} ${number}.${i}`);
    const id = `${number}.${i}`;
    const body = request.body ?? (request.json && JSON.stringify(request.json));
    const abortAfter = random() < 0.1 ? random() * 8 : undefined;
    const headers = {
      ...caller.headers,
      'X-Request-Id': id,
      ...(body !== undefined && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }),
    };
    const answer = await send(agent, { ...request, body, headers, abortAfter });
    counts.requests += 1;
    if (abortAfter !== undefined && answer.error) {
      counts.aborted += 1;
    } else {
      check(caller, request, id, answer);
    }
  }
  agent.destroy();
}

await Promise.all(Array.from({ length: plan.clients }, (_, number) => runClient(number)));
console.log(JSON.stringify({ counts, examples }));
