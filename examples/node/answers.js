// Errors of the database as answers of HTTP.

/** An error that this layer finds by itself, in the form of revdesk_auth's. */
export class HttpError extends Error {
  constructor(status, code, message, headers = {}) {
    super(message);
    this.answer = { status, headers, body: JSON.stringify({ code, message, details: null, hint: null }) };
  }
}

const STATUS = {
  23503: 409, // foreign key
  23505: 409, // unique
  25006: 403, // write of a read key
  28000: 401,
  42501: 403,
  57014: 503, // statement_timeout
};

function statusOf(sqlstate) {
  if (sqlstate in STATUS) {
    return STATUS[sqlstate];
  }
  if (/^(22|23|42|P0)/.test(sqlstate)) {
    return 400;
  }
  return 500;
}

// What revdesk_auth raises with SQLSTATE PGRST: the message is the body, the detail has status and headers.
function fromPgrst(error) {
  const { status, headers } = JSON.parse(error.detail);
  return { status, headers, body: error.message };
}

/** The answer to a request that failed with this error: { status, headers, body }. */
export function answerTo(error) {
  if (error instanceof HttpError) {
    return error.answer;
  }
  if (error.code === 'PGRST') {
    return fromPgrst(error);
  }
  const status = typeof error.code === 'string' ? statusOf(error.code) : 500;
  if (status >= 500) {
    // What went wrong inside is for the log of the server, not for the caller.
    console.error(`${error.code ?? 'error'}: ${error.message}`);
    return new HttpError(status, 'internal', 'the request could not be served').answer;
  }
  const { code, message, hint = null } = error;
  return { status, headers: {}, body: JSON.stringify({ code, message, details: null, hint }) };
}
