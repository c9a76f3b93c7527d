-- revdesk_auth: the install script, which the Makefile makes of the parts in src/sql

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION revdesk_auth CASCADE" to load this file. \quit

-- tables.sql: the data model.
--
-- The order of the leading columns is known to src/relations.h.

-- Whatever is named without a schema from here on is PostgreSQL's own: in the
-- schema that the extension goes to, anybody may have put functions and
-- operators that would suit better than those.
SET LOCAL search_path = pg_catalog, pg_temp;

-- Nothing was there before; see revoke.sql.
SELECT pg_catalog.set_config('revdesk_auth.members_before', '', true);

-- CREATE SCHEMA, not "schema =" in the control file: that would install into
-- a schema of the same name that somebody else made before.
CREATE SCHEMA revdesk;
COMMENT ON SCHEMA revdesk IS
  'Tables of revdesk_auth. API roles get nothing here; they use the functions.';

CREATE TABLE revdesk.tenants (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  umbrella_id uuid REFERENCES revdesk.tenants (id),
  suspended_at timestamptz,
  rate_limit integer,
  rate_period text NOT NULL DEFAULT 'second',
  rate_burst integer,
  quota bigint,
  quota_period text NOT NULL DEFAULT 'day',
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  CONSTRAINT tenants_name_check
    CHECK (pg_catalog.char_length(name) BETWEEN 1 AND 200 AND name !~ '[[:cntrl:]]'),
  CONSTRAINT tenants_rate_check CHECK (rate_limit BETWEEN 1 AND 1000000 AND rate_period IN ('second', 'minute')),
  CONSTRAINT tenants_burst_check CHECK (rate_burst BETWEEN 1 AND 1000000),
  CONSTRAINT tenants_quota_check CHECK (quota BETWEEN 1 AND 1000000000000 AND quota_period IN ('day', 'month')),
  CONSTRAINT tenants_not_own_umbrella CHECK (umbrella_id <> id)
);
CREATE INDEX tenants_umbrella_id_idx ON revdesk.tenants (umbrella_id);
COMMENT ON TABLE revdesk.tenants IS
  'Organizations (umbrellas) and their sub-entities: two levels, no more.';
COMMENT ON COLUMN revdesk.tenants.umbrella_id IS
  'The organization that a sub-entity belongs to; null for an organization. Never changes.';
COMMENT ON COLUMN revdesk.tenants.suspended_at IS
  'Since when keys of the tenant, and of its sub-entities, are rejected.';

CREATE TABLE revdesk.users (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  disabled_at timestamptz,
  subject text COLLATE "C" NOT NULL,  -- as src/tenancy.c looks it up
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  CONSTRAINT users_subject_key UNIQUE (subject),
  CONSTRAINT users_subject_check
    CHECK (pg_catalog.char_length(subject) BETWEEN 1 AND 255 AND subject !~ '[[:cntrl:]]')
);
COMMENT ON TABLE revdesk.users IS
  'Persons. A user may own personal rows and be a member of any number of tenants.';
COMMENT ON COLUMN revdesk.users.subject IS
  'The name of the user in the identity provider: the claim "sub" of its tokens.';
COMMENT ON COLUMN revdesk.users.disabled_at IS
  'Since when keys of the user are rejected.';

CREATE TABLE revdesk.memberships (
  user_id uuid NOT NULL REFERENCES revdesk.users (id),
  tenant_id uuid NOT NULL REFERENCES revdesk.tenants (id),
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  PRIMARY KEY (user_id, tenant_id)
);
CREATE INDEX memberships_tenant_id_idx ON revdesk.memberships (tenant_id);
COMMENT ON TABLE revdesk.memberships IS
  'Which tenants a user is a member of, and so sees with a key of scope user.';

CREATE TABLE revdesk.api_keys (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  key_hash bytea NOT NULL,
  scope text NOT NULL,
  tenant_id uuid REFERENCES revdesk.tenants (id),
  user_id uuid REFERENCES revdesk.users (id),
  access text NOT NULL DEFAULT 'write',
  environment text NOT NULL DEFAULT 'production',
  revoked_at timestamptz,
  expires_at timestamptz,
  allowed_networks cidr[],
  rate_limit integer,
  rate_period text NOT NULL DEFAULT 'second',
  rate_burst integer,
  quota bigint,
  quota_period text NOT NULL DEFAULT 'day',
  name text NOT NULL,
  hint text,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  created_by uuid REFERENCES revdesk.users (id),
  revoked_by uuid REFERENCES revdesk.users (id),
  revoked_reason text,
  replaced_by uuid REFERENCES revdesk.api_keys (id),
  origin text NOT NULL DEFAULT 'created',
  metadata jsonb NOT NULL DEFAULT '{}',
  CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash),
  CONSTRAINT api_keys_key_hash_check CHECK (pg_catalog.octet_length(key_hash) = 32),
  CONSTRAINT api_keys_scope_check CHECK (scope IN ('user', 'organization', 'sub_entity')),
  CONSTRAINT api_keys_scope_tenant_check CHECK ((scope = 'user') = (tenant_id IS NULL)),
  CONSTRAINT api_keys_scope_user_check CHECK (scope <> 'user' OR user_id IS NOT NULL),
  CONSTRAINT api_keys_access_check CHECK (access IN ('read', 'write', 'admin')),
  CONSTRAINT api_keys_environment_check CHECK (environment IN ('production', 'development')),
  CONSTRAINT api_keys_name_check
    CHECK (pg_catalog.char_length(name) BETWEEN 1 AND 200 AND name !~ '[[:cntrl:]]'),
  CONSTRAINT api_keys_rate_check CHECK (rate_limit BETWEEN 1 AND 1000000 AND rate_period IN ('second', 'minute')),
  CONSTRAINT api_keys_burst_check CHECK (rate_burst BETWEEN 1 AND 1000000),
  CONSTRAINT api_keys_quota_check CHECK (quota BETWEEN 1 AND 1000000000000 AND quota_period IN ('day', 'month')),
  CONSTRAINT api_keys_origin_check CHECK (origin IN ('created', 'imported', 'rotated')),
  CONSTRAINT api_keys_hint_check CHECK (pg_catalog.char_length(hint) = 4),
  CONSTRAINT api_keys_reason_check CHECK (pg_catalog.char_length(revoked_reason) <= 1000),
  CONSTRAINT api_keys_networks_check
    CHECK (pg_catalog.cardinality(allowed_networks) BETWEEN 1 AND 1000
           AND pg_catalog.array_position(allowed_networks, NULL) IS NULL),
  CONSTRAINT api_keys_metadata_check
    CHECK (pg_catalog.jsonb_typeof(metadata) = 'object'
           AND pg_catalog.octet_length(metadata::text) <= 16384)
);
-- What authentication probes; see src/key_lookup.c.
CREATE INDEX api_keys_key_hash_idx ON revdesk.api_keys USING hash (key_hash);
CREATE INDEX api_keys_tenant_id_idx ON revdesk.api_keys (tenant_id);
CREATE INDEX api_keys_user_id_idx ON revdesk.api_keys (user_id);
CREATE INDEX api_keys_created_by_idx ON revdesk.api_keys (created_by);
CREATE INDEX api_keys_expires_at_idx ON revdesk.api_keys (expires_at);
CREATE INDEX api_keys_replaced_by_idx ON revdesk.api_keys (replaced_by);
COMMENT ON TABLE revdesk.api_keys IS
  'API keys. The key itself is nowhere: only its SHA-256.';
COMMENT ON COLUMN revdesk.api_keys.key_hash IS
  'SHA-256 of the whole key, "revdesk_" included: 32 bytes.';
COMMENT ON COLUMN revdesk.api_keys.scope IS
  'What the key sees: user (user_id''s own rows and tenants), organization (tenant_id and its sub-entities), sub_entity (tenant_id alone).';
COMMENT ON COLUMN revdesk.api_keys.user_id IS
  'Scope user: the user that the key acts for. Else: the user responsible for the key, if any.';
COMMENT ON COLUMN revdesk.api_keys.access IS
  'read: transactions become READ ONLY. write. admin: may also manage keys, members and sub-entities in its scope.';
COMMENT ON COLUMN revdesk.api_keys.environment IS
  'production or development; see the setting revdesk.accepted_environments.';
COMMENT ON COLUMN revdesk.api_keys.allowed_networks IS
  'Networks that the client must connect from; null for anywhere.';
COMMENT ON COLUMN revdesk.api_keys.hint IS
  'Last 4 characters of the key, to tell keys apart; null if not known.';
COMMENT ON COLUMN revdesk.api_keys.created_by IS
  'User who made the key, if known.';
COMMENT ON COLUMN revdesk.api_keys.revoked_by IS
  'User who revoked the key, if known.';
COMMENT ON COLUMN revdesk.api_keys.replaced_by IS
  'The key that revdesk_rotate_key() made in its place.';
COMMENT ON COLUMN revdesk.api_keys.metadata IS
  'A JSON object of the user''s own, at most 16384 bytes.';

CREATE TABLE revdesk.protected_tables (
  relation regclass PRIMARY KEY,
  root regclass NOT NULL,
  tenant_column name,
  owner_column name,
  umbrella_column name,
  walk_up boolean NOT NULL DEFAULT false,
  had_row_security boolean NOT NULL,
  had_forced_row_security boolean NOT NULL,
  created_indexes name[] NOT NULL DEFAULT '{}',
  protected_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE revdesk.protected_tables IS
  'Tables that are protected, and what revdesk_unprotect() restores. A table''s owner sees and changes its row.';
COMMENT ON COLUMN revdesk.protected_tables.root IS
  'The table that revdesk_protect() was called for: the table itself, or one that it is a partition or child of.';
