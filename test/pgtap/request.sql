-- Proves how a request's headers and claims become a context, and what its refusals look like to HTTP.

BEGIN;
\ir setup/desk.psql
SELECT plan(59);
\ir setup/request.psql

-- "All API requests require a Bearer token in the Authorization header."
SELECT is(
  test.request(headers, NULL, '/calls', 'SELECT string_agg(label, '','') FROM desk.calls'), expected, name)
FROM (SELECT test.token('A1') AS a1, test.token('B1') AS b1) AS keys, LATERAL (VALUES
  ('a bearer token', jsonb_build_object('authorization', 'Bearer ' || a1), 'A1'),
  ('the scheme in lower case', jsonb_build_object('authorization', 'bearer ' || a1), 'A1'),
  ('the scheme in upper case', jsonb_build_object('authorization', 'BEARER ' || a1), 'A1'),
  ('two spaces', jsonb_build_object('authorization', 'Bearer  ' || a1), 'A1'),
  ('as a front end passes it on', jsonb_build_object('x-api-key', a1), 'A1'),
  ('the scheme ApiKey', jsonb_build_object('authorization', 'ApiKey ' || a1), 'A1'),
  ('the user name of Basic', jsonb_build_object('authorization', 'Basic ' || encode(convert_to(a1 || ':', 'UTF8'), 'base64')), 'A1'),
  ('the same with a password', jsonb_build_object('authorization', 'Basic ' || encode(convert_to(a1 || ':secret', 'UTF8'), 'base64')), 'A1'),
  ('the same key twice', jsonb_build_object('authorization', 'Bearer ' || a1, 'x-api-key', a1), 'A1'),
  ('two keys', jsonb_build_object('authorization', 'Bearer ' || a1, 'x-api-key', b1), 'PGRST 400 invalid_request'),
  ('no header', '{}', 'PGRST 401 credentials_required'),
  ('no headers at all', NULL, 'PGRST 401 credentials_required'),
  ('other headers', '{"accept": "*/*", "cookie": "a=b"}', 'PGRST 401 credentials_required'),
  ('a key in another header', jsonb_build_object('x-key', a1, 'referer', a1), 'PGRST 401 credentials_required'),
  ('an empty Authorization', '{"authorization": ""}', 'PGRST 401 invalid_token'),
  ('a scheme alone', '{"authorization": "Bearer"}', 'PGRST 401 invalid_token'),
  ('a bare key', jsonb_build_object('authorization', a1), 'PGRST 401 invalid_token'),
  ('another scheme', jsonb_build_object('authorization', 'Digest ' || a1), 'PGRST 401 invalid_token'),
  ('a key with a trailing space', jsonb_build_object('authorization', 'Bearer ' || a1 || ' '), 'PGRST 401 invalid_token'),
  ('a key in upper case', jsonb_build_object('authorization', 'Bearer revdesk_' || upper(substr(a1, 9))), 'PGRST 401 invalid_token'),
  ('the placeholder of the documentation', '{"authorization": "Bearer revdesk_your_api_key_here"}', 'PGRST 401 invalid_token'),
  ('an unknown key', '{"authorization": "Bearer revdesk_00000000000000000000000000000000"}', 'PGRST 401 invalid_token'),
  ('an unverified JSON web token', '{"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ."}', 'PGRST 401 invalid_token'),
  ('Basic that is not base64', '{"authorization": "Basic !!!"}', 'PGRST 401 invalid_token'),
  ('Basic that goes on after a padding', jsonb_build_object('authorization', 'Basic cg=A' || (SELECT string_agg(substr(encode(convert_to(c, 'UTF8') || '\x0000', 'base64'), 1, 4), '' ORDER BY n) FROM regexp_split_to_table(substr(a1, 2) || ':', '') WITH ORDINALITY AS letters (c, n))), 'PGRST 401 invalid_token'),
  ('Basic with the key as the password', jsonb_build_object('authorization', 'Basic ' || encode(convert_to('user:' || a1, 'UTF8'), 'base64')), 'PGRST 401 invalid_token'),
  ('Basic of 1 MB', jsonb_build_object('authorization', 'Basic ' || repeat('QUFB', 250000)), 'PGRST 401 invalid_token'),
  ('a key that is a number', '{"x-api-key": 1}', 'PGRST 401 invalid_token'),
  ('a key that is null', '{"x-api-key": null}', 'PGRST 401 invalid_token'),
  ('a key in an array', jsonb_build_object('x-api-key', jsonb_build_array(a1)), 'PGRST 401 invalid_token'),
  ('a key further down', jsonb_build_object('x', jsonb_build_object('x-api-key', a1)), 'PGRST 401 credentials_required'),
  ('headers that are an array', jsonb_build_array('x-api-key', a1), 'PGRST 400 invalid_request'),
  ('headers that are a text', to_jsonb(a1), 'PGRST 400 invalid_request')
) AS cases (name, headers, expected);

-- "never with a password in the query string"
SELECT is(
  test.request('{}', NULL, replace(path, '$key', test.token('A1')), 'SELECT string_agg(label, '','') FROM desk.calls'), expected, 'a key in the path is not taken: ' || path)
FROM (VALUES ('/calls?api_key=$key', 'PGRST 400 invalid_request'), ('/$key/calls', 'PGRST 400 invalid_request'), ('/calls/revdesk_$key', 'PGRST 400 invalid_request'),
             ('/calls?api_key=revdesk_', 'PGRST 401 credentials_required')) AS cases (path, expected);
SELECT is(
  test.request(jsonb_build_object('x-api-key', test.token('A1')), NULL, '/calls?key=' || test.token('A1'), 'SELECT 1'), 'PGRST 400 invalid_request',
  'and refused even beside one in a header');

-- "Token revoked, typo, or missing", as HTTP.
SELECT FROM revdesk_revoke_key(test.key_id('A2'));
SELECT is(
  test.request_error(jsonb_build_object('authorization', 'Bearer ' || test.token('A2')), '/calls'),
  '{"code":"invalid_token","message":"API key or session rejected","details":null,"hint":null} | '
  '{"status":401,"headers":{"Cache-Control":"no-store","WWW-Authenticate":"Bearer realm=\"revdesk\", error=\"invalid_token\""}}', 'a revoked key: 401');
SELECT is(
  test.request_error(headers, '/calls'),
  '{"code":"credentials_required","message":"authentication required","details":null,"hint":"Send the header \"Authorization: Bearer <API key>\"."} | '
  '{"status":401,"headers":{"Cache-Control":"no-store","WWW-Authenticate":"Bearer realm=\"revdesk\""}}', 'no key: 401')
FROM (VALUES ('{}'::jsonb)) AS cases (headers);
SELECT is(
  test.request_error(jsonb_build_object('authorization', 'Bearer ' || test.token('A2'), 'x-request-id', id), '/calls') ~ 'X-Request-Id', echoed, 'the request id ' || to_json(left(id, 10)))
FROM (VALUES ('abc-123.x:Y_z', true), (E'a\r\nSet-Cookie: b', false), ('a"b', false), ('', false), (repeat('a', 128), true), (repeat('a', 129), false)) AS cases (id, echoed);
SELECT unalike(
  test.request_error(jsonb_build_object('authorization', 'Bearer ' || test.token('A2')), '/' || test.token('A1')), '%' || substr(test.token(key), 9) || '%',
  'attack L2: no refusal quotes a key: ' || key)
FROM (VALUES ('A1'), ('A2')) AS keys (key);

-- What is sent with a success goes behind what is there.
SELECT is(
  test.request(jsonb_build_object('x-api-key', test.token('A1'), 'x-request-id', '1'), NULL, '/calls', $$SELECT current_setting('response.headers')::jsonb$$),
  expected || '{"X-Request-Id": "1"}]', 'headers after ' || to_json(before))
FROM (VALUES ('', '['), ('[]', '['), (E' [ ]\n', '['), ('[{"X-A": "[]"}]', '[{"X-A": "[]"}, '), (E'[{"X-A": "]"} ] \n', '[{"X-A": "]"}, ')) AS cases (before, expected),
  set_config('response.headers', before, true);
SELECT set_config('response.headers', '', true) \g /dev/null

-- Public paths need none, and get no context.
SET LOCAL revdesk.public_paths = '/, /health';
SELECT is(
  test.request('{}', NULL, path, 'SELECT concat(''seen: '', string_agg(label, '','')) FROM desk.calls'), expected, 'without a key: ' || path)
FROM (VALUES ('/', 'seen: '), ('/health', 'seen: '), ('/health/', 'PGRST 401 credentials_required'), ('/healthy', 'PGRST 401 credentials_required'), ('', 'PGRST 401 credentials_required')) AS cases (path, expected);
SELECT is(
  test.request('{"x-api-key": "x"}', NULL, '/health', 'SELECT 1'), 'PGRST 401 invalid_token', 'a bad key is refused there as well');
RESET revdesk.public_paths;

SELECT * FROM finish();
ROLLBACK;
