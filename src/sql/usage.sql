-- usage.sql: how keys are used, and how much they may be.

CREATE TABLE revdesk.key_usage (
  key_id uuid NOT NULL,
  bucket timestamptz NOT NULL,
  requests bigint NOT NULL DEFAULT 0,
  denied_unknown bigint NOT NULL DEFAULT 0,
  denied_revoked bigint NOT NULL DEFAULT 0,
  denied_expired bigint NOT NULL DEFAULT 0,
  denied_environment bigint NOT NULL DEFAULT 0,
  denied_network bigint NOT NULL DEFAULT 0,
  denied_user bigint NOT NULL DEFAULT 0,
  denied_tenant bigint NOT NULL DEFAULT 0,
  denied_limit bigint NOT NULL DEFAULT 0,
  last_used_at timestamptz,
  last_address text,
  writes bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (key_id, bucket)
);
COMMENT ON TABLE revdesk.key_usage IS
  'Requests of each key by hour, written by the background worker. A key_id of zeros: requests with no known key.';
COMMENT ON COLUMN revdesk.key_usage.bucket IS 'The hour, by its beginning.';
COMMENT ON COLUMN revdesk.key_usage.writes IS 'Transactions among the requests that wrote.';
CREATE INDEX key_usage_bucket_idx ON revdesk.key_usage (bucket);

CREATE FUNCTION revdesk.add_counts(a bigint, b bigint) RETURNS bigint
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'revdesk_add_counts';
COMMENT ON FUNCTION revdesk.add_counts(bigint, bigint) IS
  'The sum of two counts, or the largest bigint: an error would keep the worker from writing all the others.';

CREATE FUNCTION revdesk.add_usage(key_ids uuid[], counts bigint[], last_used timestamptz[], last_addresses text[])
RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO revdesk.key_usage AS usage
  SELECT used.key_id, date_trunc('hour', now(), 'UTC'), counts[n][1],
         counts[n][3], counts[n][4], counts[n][5], counts[n][6], counts[n][7], counts[n][8], counts[n][9], counts[n][10],
         used.last_used_at, used.last_address, counts[n][2]
  FROM unnest(key_ids, last_used, last_addresses) WITH ORDINALITY AS used (key_id, last_used_at, last_address, n)
  ON CONFLICT (key_id, bucket) DO UPDATE
  SET requests = revdesk.add_counts(usage.requests, excluded.requests),
      denied_unknown = revdesk.add_counts(usage.denied_unknown, excluded.denied_unknown),
      denied_revoked = revdesk.add_counts(usage.denied_revoked, excluded.denied_revoked),
      denied_expired = revdesk.add_counts(usage.denied_expired, excluded.denied_expired),
      denied_environment = revdesk.add_counts(usage.denied_environment, excluded.denied_environment),
      denied_network = revdesk.add_counts(usage.denied_network, excluded.denied_network),
      denied_user = revdesk.add_counts(usage.denied_user, excluded.denied_user),
      denied_tenant = revdesk.add_counts(usage.denied_tenant, excluded.denied_tenant),
      denied_limit = revdesk.add_counts(usage.denied_limit, excluded.denied_limit),
      last_used_at = GREATEST(usage.last_used_at, excluded.last_used_at),
      last_address = COALESCE(excluded.last_address, usage.last_address),
      writes = revdesk.add_counts(usage.writes, excluded.writes);
  SELECT revdesk.audit_denials(key_ids, counts);
END;
COMMENT ON FUNCTION revdesk.add_usage(uuid[], bigint[], timestamptz[], text[]) IS
  'Adds counts to each key''s row of the current hour. counts: a row for each key, of requests, writes, and denied in the order of the columns. For the background worker.';

CREATE FUNCTION revdesk.expire_usage(minutes integer) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  DELETE FROM revdesk.key_usage
  WHERE minutes > 0 AND key_usage.bucket < now() - make_interval(mins => minutes);
END;
COMMENT ON FUNCTION revdesk.expire_usage(integer) IS
  'Deletes rows older than so many minutes; none for 0. For the background worker.';

CREATE FUNCTION revdesk.usage_in_memory(
  wanted uuid DEFAULT NULL, OUT key_id uuid, OUT requests bigint, OUT last_used_at timestamptz, OUT last_address text,
  OUT denied bigint[])
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'revdesk_usage_in_memory';
COMMENT ON FUNCTION revdesk.usage_in_memory(uuid) IS
  'What is counted for this database, or for one key, and not yet in revdesk.key_usage. No row without preloading.';

CREATE FUNCTION revdesk.usage_dropped() RETURNS bigint
LANGUAGE c VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'revdesk_usage_dropped';
COMMENT ON FUNCTION revdesk.usage_dropped() IS
  'Requests that were not counted since the table in shared memory was full; null where the server does not preload the library, and so counts nothing.';

CREATE FUNCTION revdesk.last_use_of(wanted uuid) RETURNS timestamptz
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT GREATEST(
    (SELECT usage.last_used_at FROM revdesk.key_usage AS usage
     WHERE usage.key_id = wanted AND usage.last_used_at IS NOT NULL ORDER BY usage.bucket DESC LIMIT 1),
    (SELECT memory.last_used_at FROM revdesk.usage_in_memory(wanted) AS memory));
END;
COMMENT ON FUNCTION revdesk.last_use_of(uuid) IS
  'When a key was accepted last, as far as it was counted; null for never.';

-- What is written and what is in memory, as one.
CREATE FUNCTION revdesk.usage_of(wanted uuid, since timestamptz, until timestamptz)
RETURNS SETOF revdesk.key_usage
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT usage.* FROM revdesk.key_usage AS usage
  WHERE usage.key_id = wanted AND usage.bucket >= since AND usage.bucket < until
  UNION ALL
  SELECT wanted, date_trunc('hour', now(), 'UTC'), memory.requests,
         memory.denied[1], memory.denied[2], memory.denied[3], memory.denied[4],
         memory.denied[5], memory.denied[6], memory.denied[7], memory.denied[8],
         memory.last_used_at, memory.last_address, NULL::bigint
  FROM revdesk.usage_in_memory(wanted) AS memory
  WHERE now() >= since AND now() < until
    AND (memory.requests > 0 OR EXISTS (SELECT FROM unnest(memory.denied) AS count WHERE count > 0));
END;
COMMENT ON FUNCTION revdesk.usage_of(uuid, timestamptz, timestamptz) IS
  'Rows of a key, and its counts in memory as of the current hour.';

CREATE FUNCTION revdesk.require_usage(wanted uuid) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF @extschema@.revdesk_scope() IS NULL THEN
    PERFORM revdesk.require_privilege('revdesk.key_usage', 'SELECT');
  ELSIF NOT EXISTS (SELECT FROM revdesk.managed_keys AS managed WHERE managed.key_id = wanted) THEN
    RAISE insufficient_privilege USING
      MESSAGE = format('key "%s" does not exist, or is outside your scope', wanted);
  END IF;
  IF revdesk.usage_dropped() IS NULL THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = 'usage is not counted',
      HINT = 'Put revdesk_auth into shared_preload_libraries and restart the server.';
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.require_usage(uuid) IS
  'Raises 42501 unless the caller may see the key''s usage, and 55000 where nothing is counted.';

CREATE FUNCTION @extschema@.revdesk_usage(
  key_id uuid, since timestamptz DEFAULT '-infinity', until timestamptz DEFAULT 'infinity',
  unit text DEFAULT 'day', OUT bucket timestamptz, OUT requests bigint, OUT denied bigint,
  OUT denied_by_reason jsonb, OUT last_used_at timestamptz, OUT last_address text)
RETURNS SETOF record
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.require_usage(revdesk_usage.key_id);
  SELECT date_trunc(unit, usage.bucket, 'UTC'), sum(usage.requests)::bigint,
         sum(usage.denied_unknown + usage.denied_revoked + usage.denied_expired + usage.denied_environment + usage.denied_network
             + usage.denied_user + usage.denied_tenant + usage.denied_limit)::bigint,
         jsonb_strip_nulls(jsonb_build_object(
           'unknown', NULLIF(sum(usage.denied_unknown), 0),
           'revoked', NULLIF(sum(usage.denied_revoked), 0), 'expired', NULLIF(sum(usage.denied_expired), 0),
           'environment', NULLIF(sum(usage.denied_environment), 0),
           'network', NULLIF(sum(usage.denied_network), 0), 'user', NULLIF(sum(usage.denied_user), 0),
           'tenant', NULLIF(sum(usage.denied_tenant), 0), 'limit', NULLIF(sum(usage.denied_limit), 0))),
         max(usage.last_used_at),
         (array_agg(usage.last_address ORDER BY usage.last_used_at DESC NULLS LAST))[1]
  FROM revdesk.usage_of(revdesk_usage.key_id, since, until) AS usage
  GROUP BY 1 ORDER BY 1;
END;
COMMENT ON FUNCTION @extschema@.revdesk_usage(uuid, timestamptz, timestamptz, text) IS
  'Requests of a key, by hour, day or month (UTC), up to this moment: what is written and what is still in memory. For a key that the context may manage, or with SELECT on revdesk.key_usage, any; the key_id of zeros stands for requests with no known key. 55000 where nothing is counted.';

CREATE FUNCTION revdesk.check_limits(
  rate_limit integer, rate_period text, rate_burst integer, quota bigint, quota_period text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF rate_limit NOT BETWEEN 1 AND 1000000 OR rate_burst NOT BETWEEN 1 AND 1000000
     OR quota NOT BETWEEN 1 AND 1000000000000
     OR rate_period IS NULL OR rate_period NOT IN ('second', 'minute')
     OR quota_period IS NULL OR quota_period NOT IN ('day', 'month') THEN
    RAISE invalid_parameter_value USING
      MESSAGE = 'invalid limit',
      HINT = 'Rates are 1 to 1000000 requests a "second" or "minute", quotas 1 to 10^12 a "day" or "month"; null is no limit.';
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.check_limits(integer, text, integer, bigint, text) IS
  'Raises 22023 unless the values fit the constraints on limits.';

CREATE FUNCTION @extschema@.revdesk_limit_key(
  key_id uuid, rate_limit integer DEFAULT NULL, rate_period text DEFAULT 'second',
  rate_burst integer DEFAULT NULL, quota bigint DEFAULT NULL, quota_period text DEFAULT 'day')
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  key revdesk.api_keys;
BEGIN
  -- Never under a context: a key must not lift its own limits.
  PERFORM revdesk.require_privilege('revdesk.api_keys', 'UPDATE');
  PERFORM revdesk.check_limits(rate_limit, rate_period, rate_burst, quota, quota_period);
  key := revdesk.lock_key(key_id);
  UPDATE revdesk.api_keys AS keys
  SET rate_limit = revdesk_limit_key.rate_limit, rate_period = revdesk_limit_key.rate_period,
      rate_burst = revdesk_limit_key.rate_burst, quota = revdesk_limit_key.quota,
      quota_period = revdesk_limit_key.quota_period
  WHERE keys.id = key.id;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_limit_key(uuid, integer, text, integer, bigint, text) IS
  'Limits a key to rate_limit requests a second or minute, of which rate_burst (by default as many) may come at once, and to quota requests a day or month (UTC); null for no limit. Needs UPDATE on revdesk.api_keys, no context, and a server that preloads the library.';

CREATE FUNCTION @extschema@.revdesk_limit_organization(
  organization_id uuid, rate_limit integer DEFAULT NULL, rate_period text DEFAULT 'second',
  rate_burst integer DEFAULT NULL, quota bigint DEFAULT NULL, quota_period text DEFAULT 'day')
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.require_privilege('revdesk.tenants', 'UPDATE');
  PERFORM revdesk.check_limits(rate_limit, rate_period, rate_burst, quota, quota_period);
  UPDATE revdesk.tenants
  SET rate_limit = revdesk_limit_organization.rate_limit,
      rate_period = revdesk_limit_organization.rate_period,
      rate_burst = revdesk_limit_organization.rate_burst, quota = revdesk_limit_organization.quota,
      quota_period = revdesk_limit_organization.quota_period
  WHERE tenants.id = organization_id AND tenants.umbrella_id IS NULL;
  IF NOT FOUND THEN
    RAISE undefined_object USING MESSAGE = format('organization "%s" does not exist', organization_id);
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_limit_organization(uuid, integer, text, integer, bigint, text) IS
  'Limits all keys of an organization and its sub-entities together, as revdesk_limit_key does one. Needs UPDATE on revdesk.tenants, no context, and a server that preloads the library.';
