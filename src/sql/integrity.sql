-- integrity.sql: what no constraint of a single row can say, and news of
-- changes for the backends' caches.
--
-- What must look into another row is a DEFERRABLE INITIALLY DEFERRED
-- constraint trigger.  A BEFORE trigger would see the rows of a restore in
-- their physical order, a child before its parent, and refuse them.  They are
-- SECURITY DEFINER because they run at COMMIT, as whoever commits.

CREATE FUNCTION revdesk.check_tenant() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM FROM revdesk.tenants AS umbrella
  WHERE umbrella.id = NEW.umbrella_id AND umbrella.umbrella_id IS NOT NULL;
  IF FOUND THEN
    RAISE check_violation USING
      MESSAGE = format('tenant "%s" cannot be an umbrella', NEW.umbrella_id),
      DETAIL = 'It is a sub-entity itself, and there are two levels only.',
      TABLE = 'tenants', SCHEMA = 'revdesk';
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION revdesk.check_tenant() IS
  'Trigger: an umbrella is an organization. 23514 otherwise.';
CREATE CONSTRAINT TRIGGER check_tenant
  AFTER INSERT ON revdesk.tenants
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.umbrella_id IS NOT NULL)
  EXECUTE FUNCTION revdesk.check_tenant();

CREATE FUNCTION revdesk.keep_tenant() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE check_violation USING
    MESSAGE = format('the id and the umbrella of tenant "%s" cannot change', OLD.id),
    DETAIL = 'Rows of protected tables and API keys refer to them.',
    HINT = 'Create a new tenant and move the rows.',
    TABLE = 'tenants', SCHEMA = 'revdesk';
END
$$;
COMMENT ON FUNCTION revdesk.keep_tenant() IS
  'Trigger: a tenant stays where it is. 23514 otherwise.';
CREATE TRIGGER keep_tenant
  BEFORE UPDATE ON revdesk.tenants
  FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.umbrella_id IS DISTINCT FROM NEW.umbrella_id)
  EXECUTE FUNCTION revdesk.keep_tenant();

CREATE FUNCTION revdesk.check_api_key() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM FROM revdesk.tenants
  WHERE tenants.id = NEW.tenant_id
    AND (NEW.scope = 'organization') = (tenants.umbrella_id IS NULL);
  IF NOT FOUND THEN
    RAISE check_violation USING
      MESSAGE = format('a key of scope "%s" cannot be for tenant "%s"', NEW.scope, NEW.tenant_id),
      DETAIL = 'Scope "organization" is for umbrellas, scope "sub_entity" for their sub-entities.',
      TABLE = 'api_keys', SCHEMA = 'revdesk';
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION revdesk.check_api_key() IS
  'Trigger: the scope of a key fits its kind of tenant. 23514 otherwise.';
CREATE CONSTRAINT TRIGGER check_api_key
  AFTER INSERT OR UPDATE ON revdesk.api_keys
  DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.tenant_id IS NOT NULL)
  EXECUTE FUNCTION revdesk.check_api_key();

CREATE FUNCTION revdesk.announce_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'revdesk_announce_change';
COMMENT ON FUNCTION revdesk.announce_change() IS
  'Trigger: makes every backend, on standbys too, forget what it has cached of the table.';

-- Row triggers, and ALWAYS, because a logical replication worker fires no
-- others.
DO $$
DECLARE
  relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['tenants', 'users', 'memberships'] LOOP
    EXECUTE format(
      'CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON revdesk.%I '
      'FOR EACH ROW EXECUTE FUNCTION revdesk.announce_change()', relation);
    EXECUTE format(
      'CREATE TRIGGER announce_truncate AFTER TRUNCATE ON revdesk.%I '
      'FOR EACH STATEMENT EXECUTE FUNCTION revdesk.announce_change()', relation);
    EXECUTE format(
      'ALTER TABLE revdesk.%I ENABLE ALWAYS TRIGGER announce_change, '
      'ENABLE ALWAYS TRIGGER announce_truncate', relation);
  END LOOP;
END
$$;
