// From a method, a path and a query to one SQL statement with bind parameters.
//
// A small part of what PostgREST understands: /<table>?<column>=eq.<value>&select=<column>,<column>&order=<column>.desc
// &limit=<n>&offset=<n> and /rpc/<function> with the arguments as a JSON object.

import pg from 'pg';

import { HttpError } from './answers.js';

const MAX_ROWS = 1000;

const OPERATORS = { eq: '=', gt: '>', gte: '>=', lt: '<', lte: '<=' };

const { escapeIdentifier } = pg;

// What the statement reads after it has run: a function may have set headers of the response.
const ENVELOPE = `
  SELECT coalesce(json_agg(source), '[]')::text AS body,
         nullif(current_setting('response.headers', true), '') AS headers
  FROM source`;

function badRequest(message) {
  return new HttpError(400, 'bad_request', message);
}

/**
 * The tables, views and functions of schema api, by name: { kind, columns }.
 *
 * Only names out of this list get into a statement.
 */
export async function readSchema(pool) {
  const { rows } = await pool.query(`
    SELECT class.relname AS name, 'table' AS kind, array_agg(attribute.attname::text) AS columns
    FROM pg_class AS class JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
    WHERE class.relnamespace = 'api'::regnamespace AND class.relkind IN ('r', 'p', 'v')
      AND attribute.attnum > 0 AND NOT attribute.attisdropped
    GROUP BY class.relname
    UNION ALL
    SELECT 'rpc/' || proname, 'function', proargnames[1:pronargs]
    FROM pg_proc WHERE pronamespace = 'api'::regnamespace AND prokind = 'f'`);
  return new Map(rows.map(({ name, kind, columns }) => [`/${name}`, { name, kind, columns: columns ?? [] }]));
}

function quoteColumn(target, column) {
  if (!target.columns.includes(column)) {
    throw badRequest('no such column or argument');
  }
  return escapeIdentifier(column);
}

function quoteName(target) {
  return `api.${escapeIdentifier(target.name.replace(/^rpc\//, ''))}`;
}

function readCount(text, most) {
  if (!/^\d{1,9}$/.test(text)) {
    throw badRequest('limit and offset are numbers');
  }
  return Math.min(Number(text), most);
}

function readFilter(target, column, filter, values) {
  const [, name, value] = /^([a-z]+)\.(.*)$/s.exec(filter) ?? [];
  if (!Object.hasOwn(OPERATORS, name ?? '')) {
    throw badRequest('filters have the form column=eq.value');
  }
  values.push(value);
  return `item.${quoteColumn(target, column)} ${OPERATORS[name]} $${values.length}`;
}

/** The parts of a query string; values are added to the bind parameters. */
function readQuery(target, query, values) {
  const parts = { columns: 'item.*', where: 'true', order: '', limit: MAX_ROWS, offset: 0 };
  const conditions = [];
  for (const [name, value] of query) {
    if (name === 'limit') {
      parts.limit = readCount(value, MAX_ROWS);
    } else if (name === 'offset') {
      parts.offset = readCount(value, Infinity);
    } else if (name === 'select') {
      parts.columns = value.split(',').map((column) => `item.${quoteColumn(target, column)}`);
    } else if (name === 'order') {
      const [column, direction] = value.split('.');
      parts.order = `ORDER BY item.${quoteColumn(target, column)} ${direction === 'desc' ? 'DESC' : 'ASC'}`;
    } else {
      conditions.push(readFilter(target, name, value, values));
    }
  }
  if (conditions.length > 0) {
    parts.where = conditions.join(' AND ');
  }
  return parts;
}

function readBody(target, body) {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || Object.keys(body).length === 0) {
    throw badRequest('the body must be a JSON object');
  }
  return Object.keys(body).map((column) => quoteColumn(target, column));
}

function select(target, { query }) {
  const values = [];
  const { columns, where, order, limit, offset } = readQuery(target, query, values);
  const text = `SELECT ${columns} FROM ${quoteName(target)} AS item
    WHERE ${where} ${order} LIMIT ${limit} OFFSET ${offset}`;
  return { text, values };
}

function insert(target, { body }) {
  const columns = readBody(target, body).join(', ');
  const text = `INSERT INTO ${quoteName(target)} (${columns})
    SELECT ${columns} FROM json_populate_record(NULL::${quoteName(target)}, $1) RETURNING *`;
  return { text, values: [JSON.stringify(body)] };
}

function update(target, { body, query }) {
  const values = [JSON.stringify(body)];
  const columns = readBody(target, body);
  const { where } = readQuery(target, query, values);
  // As with DELETE below.
  if (values.length === 1) {
    throw badRequest('say which rows to change');
  }
  const text = `UPDATE ${quoteName(target)} AS item
    SET (${columns.join(', ')}) = ROW (${columns.map((column) => `given.${column}`).join(', ')})
    FROM json_populate_record(NULL::${quoteName(target)}, $1) AS given
    WHERE ${where} RETURNING item.*`;
  return { text, values };
}

function remove(target, { query }) {
  const values = [];
  const { where } = readQuery(target, query, values);
  // Without a condition it would delete all that the caller sees.
  if (values.length === 0) {
    throw badRequest('say which rows to delete');
  }
  return { text: `DELETE FROM ${quoteName(target)} AS item WHERE ${where} RETURNING item.*`, values };
}

function call(target, { body }) {
  const given = body ?? {};
  const names = Object.keys(given).length > 0 ? readBody(target, given) : [];
  const args = names.map((name, i) => `${name} => $${i + 1}`).join(', ');
  return { text: `SELECT * FROM ${quoteName(target)}(${args})`, values: Object.values(given) };
}

const HANDLERS = {
  table: { GET: [select, 200], POST: [insert, 201], PATCH: [update, 200], DELETE: [remove, 200] },
  function: { POST: [call, 200] },
};

/** The statement for a request, and the status if it succeeds: { text, values, status }. */
export function route(schema, request) {
  const target = schema.get(request.path);
  if (target === undefined) {
    throw new HttpError(404, 'not_found', 'no such endpoint');
  }
  const [handler, status] = HANDLERS[target.kind][request.method] ?? [];
  if (handler === undefined) {
    throw new HttpError(405, 'method_not_allowed', 'method not allowed');
  }
  const { text, values } = handler(target, request);
  return { text: `WITH source AS (${text}) ${ENVELOPE}`, values, status };
}
