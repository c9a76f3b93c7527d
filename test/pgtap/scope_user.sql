-- Proves what a key of scope user sees: its user's personal rows and teams, as of now.

BEGIN;
\ir setup/desk.psql
SELECT plan(19);

-- "The user's personal resources + every team the user is a member of."
SELECT is(
  test.rows('test_app', 'ann', 'SELECT label FROM desk.notes'), 'A1,B,ann',
  'personal rows, and those of both teams');
SELECT is(
  test.rows('test_app', 'eve', 'SELECT label FROM desk.notes'), '',
  'a member of no team with no personal row sees nothing');
SELECT is(
  test.write('test_app', 'ann', $$INSERT INTO desk.notes VALUES (100, NULL, test.id('ann'), 'new')$$,
             $$SELECT label FROM desk.notes WHERE owner_id = test.id('ann') AND tenant_id IS NULL$$),
  '1 rows, ann,new', 'a personal row can be written');
SELECT is(
  test.write('test_app', 'ann', $$INSERT INTO desk.notes VALUES (100, test.id('B'), NULL, 'new')$$,
             $$SELECT label FROM desk.notes WHERE tenant_id = test.id('B')$$),
  '1 rows, B,new', 'and so can a row of a team');

SELECT is(
  test.rows('test_app', key, 'SELECT label FROM desk.notes WHERE ' || condition), '', name)
FROM (VALUES
  ('attack R16: not the personal rows of another user', 'ann', $$owner_id = test.id('bob')$$),
  ('attack R16: not the umbrella of a team', 'ann', $$tenant_id = test.id('A')$$),
  ('attack R16: not a sibling of a team', 'ann', $$tenant_id = test.id('A2')$$),
  ('attack R16: not the children of an umbrella that one is a member of', 'bob', $$tenant_id IN (test.id('A1'), test.id('A2'))$$),
  ('attack R16: not a row of another team that one owns', 'ann', $$owner_id = test.id('ann') AND tenant_id IS NOT NULL$$),
  ('attack R18: not a row of nobody', 'ann', $$tenant_id IS NULL AND owner_id IS NULL$$)
) AS cases (name, key, condition);

-- As of now, in the transaction that changes it too.
CREATE TEMP TABLE changes AS
SELECT 'a team joined a moment ago is seen' AS name, $$SELECT revdesk_add_member(test.id('A2'), test.id('ann'))$$ AS change,
       'A1,A2,A2 by ann,B,ann' AS expected
UNION ALL SELECT 'attack R16: a team left a moment ago is not', $$SELECT revdesk_remove_member(test.id('B'), test.id('ann'))$$, 'A1,ann'
UNION ALL SELECT 'a suspended team is not', $$SELECT revdesk_suspend_tenant(test.id('B'))$$, 'A1,ann'
UNION ALL SELECT 'a team of a suspended umbrella is not', $$SELECT revdesk_suspend_tenant(test.id('A'))$$, 'B,ann'
UNION ALL SELECT 'left by a DELETE on the table', $$DELETE FROM revdesk.memberships$$, 'ann'
UNION ALL SELECT 'left by a TRUNCATE', $$SET LOCAL session_replication_role = replica; TRUNCATE revdesk.memberships$$, 'ann'
UNION ALL SELECT 'moved by an UPDATE on the table',
  $$UPDATE revdesk.memberships SET tenant_id = test.id('B1') WHERE tenant_id = test.id('B')$$, 'A1,B1,ann';

CREATE FUNCTION test.after(change text, key text, query text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  before text := test.rows('test_app', key, query);     -- so that caches are warm
  seen text;
BEGIN
  EXECUTE change;
  seen := test.rows('test_app', key, query);
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  IF test.rows('test_app', key, query) <> before THEN
    RETURN 'the rollback of the change was not noticed';
  END IF;
  RETURN seen;
END
$$;
SELECT is(test.after(change, 'ann', 'SELECT label FROM desk.notes'), expected, name) FROM changes;

-- Within the very transaction that acts for the key.
SELECT test.enter('none', 'ann');
SET ROLE test_app;
SELECT is((SELECT string_agg(label, ',' ORDER BY label) FROM desk.calls), 'A1,B', 'the context sees two teams');
RESET ROLE;
DELETE FROM revdesk.memberships WHERE tenant_id = test.id('B');
SET ROLE test_app;
SELECT is((SELECT string_agg(label, ',' ORDER BY label) FROM desk.calls), 'A1', 'and loses one that its user is removed from meanwhile');
RESET ROLE;
SELECT FROM revdesk_deauthenticate();

SELECT * FROM finish();
ROLLBACK;
