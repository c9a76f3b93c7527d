-- Proves what a session may: see what its user sees, and issue long-lived tokens.

BEGIN;
\ir setup/desk.psql
SELECT plan(49);
\ir setup/request.psql
GRANT EXECUTE ON FUNCTION revdesk_issue_token(text, uuid, text, timestamptz) TO test_app;

CREATE FUNCTION test.claims(subject text, tenant text DEFAULT NULL, age interval DEFAULT '1 minute') RETURNS jsonb LANGUAGE sql
AS $$
  SELECT jsonb_strip_nulls(jsonb_build_object('sub', subject, 'role', 'test_app', 'company_id', test.id(tenant),
    'iat', extract(epoch FROM clock_timestamp() - age)::bigint))
$$;

-- G10: claims are believed where the administrator said so, and nowhere else.
SELECT is(
  test.request('{}', test.claims('ann'), '/calls', 'SELECT 1'), 'PGRST 401 invalid_token', 'attack G10: sessions are off unless a role is named');
SELECT is(
  test.run('test_app', NULL, $$SET revdesk.session_roles = 'test_app'$$), '42501', 'attack G10: the caller does not name one');
SET LOCAL revdesk.session_roles = 'test_app, somebody_else';
SELECT is(
  test.request('{}', test.claims('ann'), '/calls', 'SELECT 1'), 'PGRST 401 invalid_token', 'attack G10: the role of the session counts, not the one that it SET');
DO $$ BEGIN PERFORM set_config('revdesk.session_roles', quote_ident(session_user), true); END $$;

-- "Some flows also accept a Supabase session from the browser"
-- "Every successful request runs in the context of the company attached to the token (or session)."
SELECT is(
  test.request('{"authorization": "Bearer eyJ.eyJ.x"}', claims, '/calls', 'SELECT concat_ws(''|'', revdesk_scope(), string_agg(label, '','' ORDER BY label)) FROM desk.notes'), expected, name)
FROM (VALUES
  ('a session sees what its user sees', test.claims('ann'), 'user|A1,B,ann'),
  ('another user''s', test.claims('bob'), 'user|A,bob'),
  ('one that picks a sub-entity', test.claims('ann', 'A1'), 'sub_entity|A1'),
  ('one that picks an organization', test.claims('bob', 'A'), 'organization|A,A1,A2,A2 by ann'),
  ('one that picks a tenant of others', test.claims('ann', 'A2'), 'PGRST 403 insufficient_scope'),
  ('the umbrella of its tenant', test.claims('ann', 'A'), 'PGRST 403 insufficient_scope'),
  ('a child of its tenant', test.claims('bob', 'A1'), 'PGRST 403 insufficient_scope'),
  ('a tenant that does not exist', test.claims('ann', 'unknown'), 'PGRST 403 insufficient_scope'),
  ('something that is no id', test.claims('ann') || '{"company_id": "x"}', 'PGRST 403 insufficient_scope'),
  ('null', test.claims('ann') || '{"company_id": null}', 'PGRST 403 insufficient_scope'),
  ('an unknown user', test.claims('nobody'), 'PGRST 401 invalid_token'),
  ('a user in another spelling', test.claims('ANN'), 'PGRST 401 invalid_token'),
  ('an empty subject', test.claims(''), 'PGRST 401 invalid_token'),
  ('no subject', test.claims('ann') - 'sub', 'PGRST 401 invalid_token'),
  ('claims that are an array', '["sub", "ann"]', 'PGRST 400 invalid_request')
) AS cases (name, claims, expected);
SELECT is(
  test.request(jsonb_build_object('x-api-key', test.token('A1')), test.claims('ann'), '/calls', 'SELECT 1'), 'PGRST 400 invalid_request', 'a key and a session together are refused');
SELECT is(
  test.request('{}', test.claims('ann'), '/calls', 'SELECT concat_ws('' '', revdesk_access(), revdesk_key_id(), revdesk_session_started() < now())'), 'write t', 'a session has access write and no key');
SET LOCAL revdesk.accepted_environments = 'development';
SELECT is(
  test.request('{}', test.claims('ann'), '/calls', 'SELECT revdesk_environment()'), 'development', 'a session is of an environment that is accepted');
SET LOCAL revdesk.accepted_environments = 'production,development';
SELECT FROM revdesk_disable_user(test.id('bob'));
SELECT is(test.request('{}', test.claims('bob'), '/calls', 'SELECT 1'), 'PGRST 401 invalid_token', 'a disabled user''s session is refused');
SELECT FROM revdesk_enable_user(test.id('bob'));
SELECT FROM revdesk_suspend_tenant(test.id('B'));
SELECT is(test.request('{}', test.claims('ann', 'B'), '/calls', 'SELECT 1'), 'PGRST 403 insufficient_scope', 'a suspended tenant is not picked');
SELECT FROM revdesk_resume_tenant(test.id('B'));

-- "Issuing a long-lived token from a session"
SELECT is(
  test.request('{}', claims, '/rpc/auth_token', statement), expected, name)
FROM (VALUES
  ('a token of the company of the session', test.claims('ann', 'A1'), $$SELECT token ~ '^revdesk_[0-9a-f]{32}$' FROM revdesk_issue_token('laptop')$$, 'true'),
  ('or of the one that is named', test.claims('ann'), $$SELECT token ~ '^revdesk_' FROM revdesk_issue_token('laptop', test.id('A1'))$$, 'true'),
  ('each token is tied to one company', test.claims('ann'), $$SELECT revdesk_issue_token('laptop')$$, '22023'),
  ('to read', test.claims('ann', 'A1'), $$SELECT token ~ '^revdesk_' FROM revdesk_issue_token('laptop', access => 'read')$$, 'true'),
  ('not wider than the session in access', test.claims('ann', 'A1'), $$SELECT revdesk_issue_token('laptop', access => 'admin')$$, '42501'),
  ('nor in scope', test.claims('ann', 'A1'), $$SELECT revdesk_issue_token('laptop', test.id('B'))$$, '42501'),
  ('not for a tenant of others', test.claims('ann'), $$SELECT revdesk_issue_token('laptop', test.id('A2'))$$, '42501'),
  ('attack K6: nor for an organization by a session that has not picked it', test.claims('ann'), $$SELECT revdesk_issue_token('laptop', test.id('B'))$$, '42501'),
  ('an organization that the session picked', test.claims('bob', 'A'), $$SELECT token ~ '^revdesk_' FROM revdesk_issue_token('laptop')$$, 'true'),
  ('a session that is an hour old', test.claims('ann', 'A1', '61 minutes'), $$SELECT revdesk_issue_token('laptop')$$, '42501'),
  ('a session that does not say how old it is', test.claims('ann', 'A1') - 'iat', $$SELECT revdesk_issue_token('laptop')$$, '42501'),
  ('one that says so in another form', test.claims('ann', 'A1') || '{"iat": "now"}', $$SELECT revdesk_issue_token('laptop')$$, '42501'),
  ('no name', test.claims('ann', 'A1'), $$SELECT revdesk_issue_token('')$$, '22023'),
  ('a session makes a key of its user', test.claims('ann'), $$SELECT token ~ '^revdesk_' FROM revdesk_create_key('x', 'user', NULL, test.id('ann'))$$, 'true'),
  ('not of another', test.claims('ann'), $$SELECT revdesk_create_key('x', 'user', NULL, test.id('bob'))$$, '42501'),
  ('a session manages no members', test.claims('ann', 'A1'), $$SELECT revdesk_add_member(test.id('A1'), test.id('eve'))$$, '42501'),
  ('nor the keys of others', test.claims('ann', 'A1'), $$SELECT revdesk_revoke_key(test.key_id('A1'))$$, '42501'),
  ('whatever claims say of access', test.claims('ann', 'A1') || '{"access": "admin", "role": "postgres"}', $$SELECT revdesk_access()$$, 'write')
) AS cases (name, claims, statement, expected);
SELECT is(
  test.request('{}', test.claims('ann', 'A1', age), '/calls', 'SELECT count(token) FROM revdesk_issue_token(''laptop'')'), expected, format('revdesk.max_session_age = 60 and a session %s old', age))
FROM (SELECT set_config('revdesk.max_session_age', '60', true)) AS setting, (VALUES ('30 seconds'::interval, '1'), ('90 seconds', '42501')) AS cases (age, expected);
RESET revdesk.max_session_age;

-- "Create / list / revoke", by the session of the user who made it.
CREATE FUNCTION test.issued(claims jsonb, statement text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
  made record;
  outcome text;
BEGIN
  PERFORM set_config('request.jwt.claims', test.claims('ann', 'A1')::text, true), set_config('request.headers', '', true), set_config('request.path', '/', true);
  PERFORM revdesk_authenticate();
  SELECT * INTO made FROM revdesk_issue_token('laptop');
  PERFORM revdesk_deauthenticate();
  outcome := test.request('{}', claims, '/', format(statement, made.key_id));
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN outcome;
END
$$;
SELECT is(
  test.issued(claims, statement), expected, name)
FROM (VALUES
  ('the user''s session lists the token', test.claims('ann', 'A1'), 'SELECT concat_ws('' '', name, scope, access, user_id = test.id(''ann'')) FROM revdesk_keys WHERE key_id = %L', 'laptop sub_entity write t'),
  ('and revokes it', test.claims('ann', 'A1'), 'SELECT revdesk_revoke_key(%L)', 'true'),
  ('also without having picked the company', test.claims('ann'), 'SELECT revdesk_revoke_key(%L)', 'true'),
  ('and rotates it', test.claims('ann', 'A1'), 'SELECT token ~ ''^revdesk_'' FROM revdesk_rotate_key(%L)', 'true'),
  ('not while it acts for another company', test.claims('ann', 'B'), 'SELECT revdesk_revoke_key(%L)', '42501'),
  ('nor does the session of somebody else', test.claims('bob', 'A'), 'SELECT revdesk_revoke_key(%L)', '42501')
) AS cases (name, claims, statement, expected);

SELECT * FROM finish();
ROLLBACK;
