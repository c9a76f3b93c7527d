-- Proves that a token is tied to one company, has a name, and is shown once.

BEGIN;
\ir setup/desk.psql
SELECT plan(33);

-- "Integrations, scripts, and the Chrome extension (where applicable) authenticate with a Bearer token tied to your company"
-- "each token is scoped to one company_id"
SELECT is(
  test.rows('test_app', key, $$SELECT DISTINCT tenant_id FROM desk.calls WHERE tenant_id = revdesk_tenant_id()$$),
  test.id(key)::text, 'the token of company ' || key || ' finds it')
FROM (VALUES ('A'), ('B'), ('A1'), ('B1')) AS cases (key);
SELECT is(
  (SELECT array_agg(attnotnull::text || ' ' || format_type(atttypid, atttypmod)) FROM pg_attribute
   WHERE attrelid = 'revdesk.api_keys'::regclass AND attname = 'tenant_id'),
  ARRAY['false uuid'], 'a key has room for one tenant');

-- "Share one token across two companies" (never)
SELECT is(
  test.rows('test_app', first, format('SELECT label FROM desk.calls WHERE tenant_id = test.id(%L)', second)), '',
  format('the token of %s does not read %s', first, second))
FROM (VALUES ('A', 'B'), ('B', 'A'), ('A1', 'B1'), ('B1', 'A1')) AS cases (first, second);
SELECT is(
  test.error('test_app', 'A', format('SELECT revdesk_authenticate(%L)', test.token('B'))),
  '25001 | this transaction already acts for another key | Authenticate once per transaction, or call revdesk_deauthenticate() first.',
  'nor do two tokens add up within a transaction');
SELECT is(
  test.write('test_app', 'A', format($statement$
    DO $do$
    BEGIN
      PERFORM revdesk_deauthenticate();
      PERFORM revdesk_authenticate(%L);
      INSERT INTO desk.calls VALUES (100, test.id('A'), 'new');
    END
    $do$
  $statement$, test.token('B'))),
  '42501, unchanged', 'after a change of tokens the first company is out of reach');

-- "Create a named token"
SELECT is(
  test.write('test_app', 'A admin', format($$SELECT revdesk_create_key(%L, 'sub_entity', test.id('A1'))$$, name)),
  expected, 'attack K10: a token named ' || description)
FROM (VALUES
  ('as usual', 'Chrome extension', '1 rows, changed'), ('in another script', 'Schlüssel 鍵', '1 rows, changed'),
  ('with quotes', $$O'Brien's "key" \$$, '1 rows, changed'), ('as SQL', $$'); DROP TABLE revdesk.api_keys; --$$, '1 rows, changed'),
  ('with 200 characters', repeat('ä', 200), '1 rows, changed'), ('with 201', repeat('x', 201), '22023, unchanged'),
  ('with 1 MB', repeat('x', 1024 * 1024), '22023, unchanged'), ('nothing', '', '22023, unchanged'),
  ('null', NULL, '22023, unchanged'), ('with a line break', E'one\ntwo', '22023, unchanged'),
  ('with an escape character', E'\x1b[31mred', '22023, unchanged')
) AS cases (description, name, expected);
SELECT is(
  test.write('test_app', 'A admin', format('SELECT revdesk_create_key(%L, ''sub_entity'', test.id(''A1''))', name),
             format('SELECT count(*) FROM revdesk.api_keys WHERE name = %L', name)),
  '1 rows, 1', 'attack K10: and the name is kept as it is')
FROM (VALUES ($$'); DROP TABLE revdesk.api_keys; --$$)) AS cases (name);

-- "copy it once, and store it in a secret manager or your integration's env vars—the UI may not show the full secret again after creation"
CREATE TEMP TABLE made AS SELECT * FROM revdesk_create_key('new', 'sub_entity', test.id('A1'));
SELECT is(
  test.rows('test_app', 'A admin', format($$SELECT name || ' ' || hint FROM revdesk_keys WHERE key_id = %L$$, key_id)),
  'new ' || right(token, 4), 'the list shows the new token by its name and last 4 characters') FROM made;
SELECT is(
  test.rows('test_app', 'A admin', format($$SELECT count(*) FROM revdesk_keys AS keys WHERE strpos(row_to_json(keys)::text, %L) > 0$$, substr(token, 9, 28))),
  '0', 'and never in full') FROM made;

-- "Every successful request runs in the context of the company attached to the token (or session)."
SELECT is(
  test.rows('test_app', key, $$
    SELECT concat_ws(' ', tenant_id = test.id('$$ || key || $$'), umbrella_id = test.id('$$ || umbrella || $$'), user_id IS NULL, key_id = test.key_id('$$ || key || $$'))
    FROM revdesk_context()
  $$), 't t t t', 'the context of token ' || key || ' is its company')
FROM (VALUES ('A', 'A'), ('A1', 'A'), ('B1', 'B')) AS cases (key, umbrella);
SELECT is(
  test.write('test_app', 'A1', $$INSERT INTO desk.calls VALUES (100, revdesk_tenant_id(), 'new')$$,
             $$SELECT label FROM desk.calls WHERE tenant_id = test.id('A1')$$),
  '1 rows, A1,new', 'and what it writes belongs to it');

-- "Issuing a long-lived token"
SELECT is(
  test.write('test_app', 'ann admin', $$SELECT revdesk_create_key('x', 'user', NULL, test.id('ann'))$$,
             $$SELECT expires_at IS NULL FROM revdesk.api_keys WHERE name = 'x'$$),
  '1 rows, true', 'a token does not expire unless it is made to');

-- A token is as its maker is, where nothing else is said.  (The maker becomes so
-- when it has authenticated: here are neither networks nor limits.)
SELECT test.create_key('bound', 'sub_entity', 'A1', access => 'admin', environment => 'development');
SELECT test.act_for('bound');
UPDATE revdesk.api_keys
SET allowed_networks = '{127.0.0.0/8,::1}', expires_at = 'tomorrow', rate_limit = 5, rate_period = 'minute', rate_burst = 7, quota = 1000, quota_period = 'month'
WHERE id = test.key_id('bound');
CREATE TEMP TABLE issued ON COMMIT DROP AS SELECT * FROM revdesk_issue_token('x');
INSERT INTO issued
SELECT * FROM revdesk_create_key('x', 'sub_entity', test.id('A1'), environment => 'development', expires_at => now() + '1 hour', allowed_networks => '{127.0.0.1}');
SELECT revdesk_deauthenticate();
SELECT results_eq(
  'SELECT environment, allowed_networks::text, expires_at = $$tomorrow$$ FROM revdesk.api_keys JOIN issued ON key_id = id ORDER BY 2 DESC LIMIT 1',
  $$VALUES ('development', '{127.0.0.1/32}', false)$$, 'what is said counts');
SELECT results_eq(
  'SELECT environment, allowed_networks::text, expires_at = $$tomorrow$$ FROM revdesk.api_keys JOIN issued ON key_id = id ORDER BY 2 LIMIT 1',
  $$VALUES ('development', '{127.0.0.0/8,::1/128}', true)$$, 'environment, networks and end are its maker''s');
SELECT results_eq(
  'SELECT DISTINCT rate_limit, rate_period, rate_burst, quota, quota_period FROM revdesk.api_keys JOIN issued ON key_id = id',
  $$VALUES (5, 'minute', 7, 1000::bigint, 'month')$$, 'and so are its limits, always');

SELECT * FROM finish();
ROLLBACK;
