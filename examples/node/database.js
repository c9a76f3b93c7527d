// One request is one transaction.

import pg from 'pg';

// Two connections serve any number of callers: nothing of a caller outlives its transaction.
export const pool = new pg.Pool({
  max: 2,
  user: 'authenticator',
  connectionTimeoutMillis: 10_000,
});

// A connection that breaks is replaced by the pool; without listeners it would end the process.
pool.on('connect', (client) => client.on('error', (error) => console.error(`connection: ${error.message}`)));
// Of idle ones the pool tells once more.
pool.on('error', () => {});

// The settings that revdesk_authenticate() reads. They are local to the transaction.
const SETTINGS = `
  SELECT set_config('role', 'api_user', true),
         set_config('request.method', $1, true),
         set_config('request.path', $2, true),
         set_config('request.headers', $3, true),
         set_config('request.jwt.claims', $4, true)`;

/**
 * Run the work of a request and return what it returns.
 *
 * request: method, path, headers (names in lower case), claims (of a verified token, else {}), readOnly.
 * work: gets a function (text, values) => rows.
 * isGone: tells whether the client has left; then nothing is committed.
 */
export async function transact(request, work, isGone) {
  const client = await pool.connect();
  let broken;
  try {
    await client.query(request.readOnly ? 'BEGIN READ ONLY' : 'BEGIN');
    await client.query(SETTINGS, [
      request.method,
      request.path,
      JSON.stringify(request.headers),
      JSON.stringify(request.claims),
    ]);
    await client.query('SELECT revdesk_authenticate()');
    const result = await work(async (text, values) => (await client.query(text, values)).rows);
    if (isGone()) {
      throw new Error('the client has left');
    }
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // A connection that cannot roll back must not go back to the pool.
    await client.query('ROLLBACK').catch((failure) => {
      broken = failure;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
