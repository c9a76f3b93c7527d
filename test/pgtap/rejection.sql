-- Proves every reason to reject a key, that all are told in one text, and that each can be undone.

BEGIN;
\ir setup/desk.psql
SELECT plan(44);
SELECT test.create_key('A1 for ann', 'sub_entity', 'A1', 'ann');

-- The rejection of a key after a change, and whether the rest still works.
CREATE FUNCTION test.after(change text, key text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  outcome text;
BEGIN
  PERFORM test.rows('test_app', key, 'SELECT 1');       -- so that caches are warm
  EXECUTE change;
  outcome := COALESCE(test.error('test_app', key, 'SELECT 1'), 'accepted');
  RAISE SQLSTATE 'TST00';
EXCEPTION WHEN SQLSTATE 'TST00' THEN
  RETURN outcome || CASE WHEN test.error('test_app', key, 'SELECT 1') IS NOT NULL THEN ', and after its rollback' ELSE '' END;
END
$$;

SELECT is(
  test.after(change, key), '28000 | API key rejected', name)
FROM (VALUES
  ('attack K3: revoked', 'A1', $$SELECT revdesk_revoke_key(test.key_id('A1'))$$),
  ('attack K3: expired', 'A1', $$UPDATE revdesk.api_keys SET expires_at = now() - '1 second'::interval WHERE id = test.key_id('A1')$$),
  ('attack K3: expires now, by the clock and not by the transaction', 'A1', $$UPDATE revdesk.api_keys SET expires_at = clock_timestamp() WHERE id = test.key_id('A1')$$),
  ('attack K3: expires at the beginning of the transaction', 'A1', $$UPDATE revdesk.api_keys SET expires_at = now() WHERE id = test.key_id('A1')$$),
  ('attack K3: expired a microsecond ago', 'A1', $$UPDATE revdesk.api_keys SET expires_at = clock_timestamp() - '1 microsecond'::interval WHERE id = test.key_id('A1')$$),
  ('attack K3: expired for ever', 'A1', $$UPDATE revdesk.api_keys SET expires_at = '-infinity' WHERE id = test.key_id('A1')$$),
  ('attack K3: replaced without a grace', 'A1', $$SELECT revdesk_rotate_key(test.key_id('A1'))$$),
  ('attack K3: the sub-entity suspended', 'A1', $$SELECT revdesk_suspend_tenant(test.id('A1'))$$),
  ('attack K3: the umbrella suspended, a sub-entity''s key', 'A1', $$SELECT revdesk_suspend_tenant(test.id('A'))$$),
  ('attack K3: the umbrella suspended, its own key', 'A', $$SELECT revdesk_suspend_tenant(test.id('A'))$$),
  ('attack K3: suspended by an UPDATE', 'A1', $$UPDATE revdesk.tenants SET suspended_at = now() WHERE id = test.id('A')$$),
  ('attack K3: the user disabled, a user key', 'ann', $$SELECT revdesk_disable_user(test.id('ann'))$$),
  ('attack K3: the user disabled, a sub-entity''s key for the user', 'A1 for ann', $$SELECT revdesk_disable_user(test.id('ann'))$$),
  ('attack K3: the user disabled by an UPDATE', 'ann', $$UPDATE revdesk.users SET disabled_at = now()$$),
  ('attack K3: a network that the client is not in', 'A1', $$UPDATE revdesk.api_keys SET allowed_networks = '{192.0.2.0/24}'$$),
  ('attack K3: deleted', 'A1', $$DELETE FROM revdesk.api_keys WHERE id = test.key_id('A1')$$),
  ('attack K3: its hash changed', 'A1', $$UPDATE revdesk.api_keys SET key_hash = sha256(key_hash)$$),
  ('T11: an environment that is not accepted', 'A1', $$SELECT set_config('revdesk.accepted_environments', 'development', true)$$)
) AS cases (name, key, change);

SELECT is(
  test.after(change, key), 'accepted', name)
FROM (VALUES
  ('an expiry in a moment', 'A1', $$UPDATE revdesk.api_keys SET expires_at = clock_timestamp() + '1 minute'$$),
  ('an expiry at infinity', 'A1', $$UPDATE revdesk.api_keys SET expires_at = 'infinity'$$),
  ('the sibling suspended', 'A1', $$SELECT revdesk_suspend_tenant(test.id('A2'))$$),
  ('a child suspended, the umbrella''s key', 'A', $$SELECT revdesk_suspend_tenant(test.id('A1'))$$),
  ('another organization suspended', 'A1', $$SELECT revdesk_suspend_tenant(test.id('B'))$$),
  ('a team suspended, the user''s key', 'ann', $$SELECT revdesk_suspend_tenant(test.id('B'))$$),
  ('suspended and resumed', 'A1', $$SELECT revdesk_suspend_tenant(test.id('A1')), revdesk_resume_tenant(test.id('A1'))$$),
  ('the umbrella suspended and resumed', 'A1', $$SELECT revdesk_suspend_tenant(test.id('A')), revdesk_resume_tenant(test.id('A'))$$),
  ('resumed without having been suspended', 'A1', $$SELECT revdesk_resume_tenant(test.id('A1'))$$),
  ('a user disabled and enabled', 'ann', $$SELECT revdesk_disable_user(test.id('ann')), revdesk_enable_user(test.id('ann'))$$),
  ('another user disabled', 'ann', $$SELECT revdesk_disable_user(test.id('bob'))$$),
  ('a sub-entity''s key of no user, all users disabled', 'A1', $$UPDATE revdesk.users SET disabled_at = now()$$)
) AS cases (name, key, change);

-- A sub-entity stays suspended when its umbrella is resumed.
SELECT FROM revdesk_suspend_tenant(test.id('A1'));
SELECT FROM revdesk_suspend_tenant(test.id('A'));
SELECT FROM revdesk_resume_tenant(test.id('A'));
SELECT is(test.rows('test_app', 'A1', 'SELECT 1'), '28000', 'resuming the umbrella does not resume its sub-entity');
SELECT is(test.rows('test_app', 'A2', 'SELECT 1'), '1', 'but the other sub-entity');
SELECT FROM revdesk_resume_tenant(test.id('A1'));
SELECT is(test.rows('test_app', 'A1', 'SELECT 1'), '1', 'until it is resumed itself');
UPDATE revdesk.tenants SET suspended_at = '2020-01-01' WHERE id = test.id('A2');
SELECT FROM revdesk_suspend_tenant(test.id('A2'));
SELECT is(
  (SELECT suspended_at FROM revdesk.tenants WHERE id = test.id('A2')), '2020-01-01',
  'suspending a suspended tenant keeps the time since when');

-- Allowed networks: over the unix socket a client has no address.
SELECT is(inet_client_addr(), NULL, 'this connection has no address');
UPDATE revdesk.tenants SET suspended_at = NULL;
SELECT is(
  test.after(format('UPDATE revdesk.api_keys SET allowed_networks = %L', networks), 'A2'), '28000 | API key rejected',
  'a key for ' || networks || ' is refused')
FROM (VALUES ('{0.0.0.0/0}'), ('{::/0}'), ('{0.0.0.0/0,::/0}'), ('{127.0.0.1/32}')) AS cases (networks);
SELECT is(
  test.run('test_app', 'A admin', $$SELECT revdesk_create_key('x', 'sub_entity', test.id('A1'), allowed_networks => '{192.0.2.0/24}')$$), '1 rows',
  'a key for any network makes one for fewer');

-- A rejection leaves the transaction without a context, or with the one before.
SELECT throws_ok($$SELECT revdesk_authenticate('revdesk_00000000000000000000000000000000')$$, '28000', 'API key rejected', 'unknown');
SELECT is(revdesk_scope(), NULL, 'no context after a rejection');
SELECT test.enter('none', 'A1');
SELECT throws_ok($$SELECT revdesk_authenticate('revdesk_00000000000000000000000000000000')$$, '28000', 'API key rejected', 'unknown, under a context');
SELECT is(revdesk_tenant_id(), test.id('A1'), 'the context of before stays');

SELECT * FROM finish();
ROLLBACK;
