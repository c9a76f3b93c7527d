-- selftest.sql: attacks on the protected tables of a database as it stands.
--
-- All happens in subtransactions that are always rolled back.  What a rollback
-- does not take back is not done: no default is evaluated (sequences move for
-- good), the audit log's trigger, which draws from a sequence, does not fire,
-- and no request is counted.  The user's own code (policies, triggers, checks)
-- runs as the attacking role or as the table's owner, never as the superuser.
--
-- The attackers are the roles that may use a table, themselves: BYPASSRLS and
-- the roles that policies name are theirs alone, and a stand-in that is a member
-- of several would be held by the restrictive policies of each.

-- Who is who: organizations A and B, their sub-entities A1, A2 and B1, users a
-- (member of A1) and b (of B1), and a key for each by the name "key A".
CREATE FUNCTION revdesk.make_stand_ins() RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  cast_of jsonb := (SELECT jsonb_object_agg(name, gen_random_uuid())
                    FROM unnest('{A,A1,A2,B,B1,a,b,key A,key A1,key B,key B1,key a,key b}'::text[]) AS name);
  before text := current_setting('session_replication_role');
BEGIN
  -- Without the audit log's triggers and the foreign keys' locks; the triggers
  -- that announce changes fire always.
  PERFORM set_config('session_replication_role', 'replica', true);
  INSERT INTO revdesk.tenants (id, umbrella_id, name)
  SELECT (cast_of->>name)::uuid, (cast_of->>umbrella)::uuid, 'self-test ' || name
  FROM (VALUES ('A', NULL), ('A1', 'A'), ('A2', 'A'), ('B', NULL), ('B1', 'B')) AS tenants (name, umbrella);
  INSERT INTO revdesk.users (id, subject)
  SELECT (cast_of->>name)::uuid, format('self-test %s', cast_of->>name) FROM (VALUES ('a'), ('b')) AS users (name);
  INSERT INTO revdesk.memberships (user_id, tenant_id)
  VALUES ((cast_of->>'a')::uuid, (cast_of->>'A1')::uuid), ((cast_of->>'b')::uuid, (cast_of->>'B1')::uuid);
  INSERT INTO revdesk.api_keys (id, key_hash, scope, tenant_id, user_id, name)
  SELECT (cast_of->>('key ' || name))::uuid, sha256(uuid_send(gen_random_uuid())), scope,
         CASE scope WHEN 'user' THEN NULL ELSE (cast_of->>name)::uuid END,
         CASE scope WHEN 'user' THEN (cast_of->>name)::uuid END, 'self-test'
  FROM (VALUES ('A', 'organization'), ('B', 'organization'), ('A1', 'sub_entity'), ('B1', 'sub_entity'),
               ('a', 'user'), ('b', 'user')) AS keys (name, scope);
  PERFORM set_config('session_replication_role', before, true);
  RETURN cast_of;
END
$$;
COMMENT ON FUNCTION revdesk.make_stand_ins() IS
  'Makes the tenants, users and keys of a self-test, to be rolled back, and returns their ids by name.';

-- Making rows.  Values are guessed, and what the table says to them tells which
-- column wants another guess.

CREATE FUNCTION revdesk.sample_values(type oid, elements boolean DEFAULT true) RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  base pg_type;
  random_text text := md5(gen_random_uuid()::text);
  n integer := 100000000 + floor(random() * 1900000000)::integer;
BEGIN
  SELECT * INTO base FROM pg_type WHERE oid = type;
  IF base.typtype = 'd' THEN
    RETURN revdesk.sample_values(base.typbasetype, elements);
  END IF;
  RETURN CASE
    WHEN base.typtype = 'e' THEN (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = type)
    WHEN base.typtype = 'r' THEN
      ARRAY['empty'] || (SELECT array_agg(format('["%s","%s"]', value, value))
                         FROM pg_range, unnest(revdesk.sample_values(rngsubtype)) AS value WHERE rngtypid = type)
    WHEN base.typtype = 'c' THEN
      ARRAY[format('(%s)', repeat(',', (SELECT count(*)::integer - 1 FROM pg_attribute
                                        WHERE attrelid = base.typrelid AND attnum > 0 AND NOT attisdropped)))]
    WHEN base.typcategory = 'A' AND base.typelem <> 0 AND elements THEN
      ARRAY['{}'] || (SELECT array_agg(ARRAY[value]::text) FROM unnest(revdesk.sample_values(base.typelem, false)) AS value)
    WHEN base.typcategory = 'N' AND type <> 'money'::regtype THEN
      ARRAY['1', n::text, (n % 30000 + 1)::text, (n % 90 + 3)::text, (n % 7919 + 11)::text, '0', '-1', '0.5']
    WHEN base.typcategory = 'B' THEN ARRAY['false', 'true']
    WHEN type = 'uuid'::regtype THEN ARRAY[gen_random_uuid(), gen_random_uuid(), gen_random_uuid()]::text[]
    WHEN type IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) THEN
      ARRAY[now()::date::text, (now()::date + n % 300)::text, (now()::date - n % 300)::text,
            (now()::date + n % 90000)::text]
    WHEN type IN ('time'::regtype, 'timetz'::regtype) THEN ARRAY['12:00:00+00', '00:00:01+00']
    WHEN type = 'interval'::regtype THEN ARRAY['1 second', n % 1000 || ' hours']
    WHEN type IN ('json'::regtype, 'jsonb'::regtype) THEN ARRAY['{}', '[]', '"x"', '1', format('{"x": %s}', n)]
    WHEN type = 'bytea'::regtype THEN ARRAY['\x' || random_text, '\x' || random_text || random_text]
    WHEN base.typcategory = 'I' THEN ARRAY['192.0.2.1', '198.51.100.' || n % 250, '2001:db8::' || n % 9999]
    WHEN base.typcategory = 'S' THEN
      ARRAY['self-test ' || random_text, random_text, left(random_text, 2), 'a', 'A', '1', random_text || '@example.com',
            'https://example.com/' || random_text, '+1' || n, 'A' || n, 'US', 'USD', 'en', '']
    ELSE ARRAY['08:00:2b:01:02:' || n % 90 + 10, '<a/>', '0', '(0,0)', '{}', '', 'a', random_text, '((0,0),(1,1))',
               '08:00:2b:01:02:03:04:05', '1']
  END;
END
$$;
COMMENT ON FUNCTION revdesk.sample_values(oid, boolean) IS
  'Guesses at values of a type, as text.';

CREATE FUNCTION revdesk.quoted_values(expression text) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT COALESCE(array_agg(value), '{}')
  FROM regexp_matches(expression, $re$'((?:[^']|'')*)'|(-?\m\d+(?:\.\d+)?\M)$re$, 'g') AS found,
       LATERAL (SELECT replace(found[1], '''''', '''') AS value WHERE found[1] IS NOT NULL
                UNION ALL
                SELECT (found[2]::numeric + more)::text FROM (VALUES (0), (1), (-1)) AS near (more)
                WHERE found[2] IS NOT NULL) AS value;
END;
COMMENT ON FUNCTION revdesk.quoted_values(text) IS
  'The constants in an expression, and the numbers beside those that are numbers.';

-- A value that a check names is a good guess.
CREATE FUNCTION revdesk.named_values(target regclass, wanted smallint, type oid) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH RECURSIVE domains (type) AS (
    SELECT named_values.type
    UNION
    SELECT typbasetype FROM domains JOIN pg_type ON pg_type.oid = domains.type WHERE typtype = 'd'
  ), expressions (text) AS (
    SELECT pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'c' AND (conrelid = target AND wanted = ANY (conkey)
                             OR contypid IN (SELECT domains.type FROM domains WHERE domains.type <> 0))
  )
  SELECT COALESCE(array_agg(DISTINCT value), '{}') FROM expressions, unnest(revdesk.quoted_values(text)) AS value;
END;
COMMENT ON FUNCTION revdesk.named_values(regclass, smallint, oid) IS
  'Constants in the checks that a column of a table must pass.';

CREATE FUNCTION revdesk.guesses(target regclass, wanted pg_attribute, template jsonb) RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  values text[] := revdesk.named_values(target, wanted.attnum, wanted.atttypid) || revdesk.sample_values(wanted.atttypid);
  partitioned boolean := EXISTS (
    SELECT FROM pg_partitioned_table JOIN pg_attribute ON attrelid = partrelid AND attnum = ANY (partattrs::smallint[])
    WHERE attname = wanted.attname
      AND (partrelid IN (SELECT revdesk.relation_tree(target)) OR partrelid IN (SELECT pg_partition_ancestors(target))));
BEGIN
  IF partitioned THEN
    values := (SELECT COALESCE(array_agg(DISTINCT bound), '{}')
               FROM revdesk.relation_tree(target) AS member JOIN pg_class ON pg_class.oid = member
               JOIN pg_inherits ON inhrelid = member
               JOIN pg_partitioned_table ON partrelid = inhparent
               JOIN pg_attribute ON attrelid = partrelid AND attnum = ANY (partattrs::smallint[]) AND attname = wanted.attname,
                    unnest(revdesk.quoted_values(pg_get_expr(relpartbound, member))) AS bound) || values;
  END IF;
  IF template ? wanted.attname THEN
    values := ARRAY[template->>wanted.attname] || values;
  END IF;
  -- A reference is best left out.  What is unique, and may be told of, is not.
  IF wanted.attnotnull OR partitioned OR EXISTS (SELECT FROM pg_index WHERE indrelid = target AND indisunique AND wanted.attnum = ANY (indkey)) THEN
    RETURN values;
  ELSIF template ? wanted.attname
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = target AND contype = 'f' AND wanted.attnum = ANY (conkey)) THEN
    RETURN values || NULL::text;
  END IF;
  RETURN ARRAY[NULL::text] || values;
END
$$;
COMMENT ON FUNCTION revdesk.guesses(regclass, pg_attribute, jsonb) IS
  'Values to try for a column, the likeliest first; template is a row that is there.';

CREATE FUNCTION revdesk.insert_statement(target regclass, "row" jsonb, role oid DEFAULT NULL) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)', target,
                string_agg(quote_ident(attname), ', ' ORDER BY attnum),
                string_agg(format('%L::%s', "row"->>attname::text, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum))
  FROM pg_attribute
  WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND "row" ? attname::text
    AND (role IS NULL OR has_column_privilege(role, target, attnum, 'INSERT'));
END;
COMMENT ON FUNCTION revdesk.insert_statement(regclass, jsonb, oid) IS
  'Inserts a row, given as text by column: all that is not generated, or with a role, what that may give.';

CREATE FUNCTION revdesk.columns_at_fault(
  target regclass, relation regclass, "constraint" name, "column" name, datatype name)
RETURNS name[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH at_fault (name) AS (
    SELECT "column" WHERE "column" <> ''
    UNION
    SELECT attname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
    WHERE attrelid = target AND typname = datatype
    UNION
    SELECT attname FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
    WHERE conrelid = relation AND conname = "constraint"
    UNION
    SELECT attname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    JOIN pg_attribute ON attrelid = indrelid
    WHERE indrelid = relation AND relname = "constraint"
      AND (attnum = ANY (indkey)
           OR EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid
                        AND refclassid = 'pg_class'::regclass AND refobjid = indrelid AND refobjsubid = attnum))
    UNION
    SELECT attname FROM pg_partitioned_table
    JOIN pg_attribute ON attrelid = partrelid AND attnum = ANY (partattrs::smallint[])
    WHERE (partrelid = relation OR partrelid IN (SELECT pg_partition_ancestors(relation)))
      AND "constraint" = '' AND "column" = '' AND datatype = ''
  )
  SELECT COALESCE(array_agg(attname ORDER BY attnum), '{}') FROM pg_attribute JOIN at_fault ON at_fault.name = attname
  WHERE attrelid = target AND attnum > 0 AND NOT attisdropped;
END;
COMMENT ON FUNCTION revdesk.columns_at_fault(regclass, regclass, name, name, name) IS
  'Columns of a table that an error is about, by what the error names: a constraint, index or partition key of relation, a column, a data type.';

CREATE FUNCTION revdesk.casts(role oid, value text, type text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM revdesk.run_as(role, format('SELECT %L::%s', value, type));
  RETURN true;
EXCEPTION WHEN OTHERS THEN
  RETURN false;
END
$$;
COMMENT ON FUNCTION revdesk.casts(oid, text, text) IS
  'Is the text a value of the type?';

-- What a rollback might not take back: code that says of itself that it changes
-- something, and code of anybody but superusers, whatever it says of itself.  To
-- compile the query takes a hundred times as long as to run it.
CREATE FUNCTION revdesk.dangers(target regclass) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
  WITH RECURSIVE ours AS (
    SELECT depend.objid FROM pg_depend AS depend JOIN pg_extension AS extension ON extension.oid = depend.refobjid
    WHERE depend.classid = 'pg_proc'::regclass AND depend.refclassid = 'pg_extension'::regclass
      AND depend.deptype = 'e' AND extension.extname = 'revdesk_auth'
  ), members AS (
    SELECT member AS relation FROM revdesk.relation_tree(target) AS member
  ), types (type) AS (
    SELECT atttypid FROM pg_attribute JOIN members ON relation = attrelid WHERE attnum > 0 AND NOT attisdropped
    UNION
    SELECT refobjid FROM pg_depend JOIN pg_policy AS policy ON policy.oid = objid JOIN members ON relation = polrelid
    WHERE classid = 'pg_policy'::regclass AND refclassid = 'pg_type'::regclass
    UNION
    SELECT part.type FROM types JOIN pg_type ON pg_type.oid = types.type
    CROSS JOIN LATERAL (SELECT typbasetype UNION ALL SELECT typelem
                        UNION ALL SELECT atttypid FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped) AS part (type)
    WHERE part.type <> 0
  ), rules (classid, objid, what) AS (
    SELECT 'pg_policy'::regclass, policy.oid, format('policy %I of %s', polname, polrelid::regclass)
    FROM pg_policy AS policy JOIN members ON relation = polrelid
    UNION ALL
    SELECT 'pg_constraint'::regclass, con.oid, format('constraint %I of %s', conname, conrelid::regclass)
    FROM pg_constraint AS con JOIN members ON relation = conrelid
    UNION ALL
    SELECT 'pg_constraint'::regclass, con.oid, format('constraint %I of type %s', conname, contypid::regtype)
    FROM pg_constraint AS con JOIN types ON type = contypid
    UNION ALL
    SELECT 'pg_class'::regclass, indexrelid, format('index %s', indexrelid::regclass)
    FROM pg_index JOIN members ON relation = indrelid
    UNION ALL
    SELECT 'pg_attrdef'::regclass, def.oid, format('generated column %I of %s', attname, adrelid::regclass)
    FROM pg_attrdef AS def JOIN members ON relation = adrelid
    JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum AND attgenerated <> ''
  ), needs (what, refclassid, refobjid) AS (
    SELECT rules.what, depend.refclassid, depend.refobjid
    FROM rules JOIN pg_depend AS depend ON depend.classid = rules.classid AND depend.objid = rules.objid
  ), calls (what, function) AS (
    SELECT needs.what, COALESCE(oprcode, refobjid)
    FROM needs LEFT JOIN pg_operator ON refclassid = 'pg_operator'::regclass AND pg_operator.oid = refobjid
    WHERE refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
  )
  SELECT format('trigger %I of %s calls %s', tgname, tgrelid::regclass, tgfoid::regprocedure)
  FROM pg_trigger JOIN members ON relation = tgrelid
  WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgfoid NOT IN (SELECT objid FROM ours)
  UNION
  SELECT format('rule %I of %s', rulename, ev_class::regclass)
  FROM pg_rewrite JOIN members ON relation = ev_class
  WHERE ev_type <> '1' AND ev_enabled <> 'D'
  UNION
  SELECT format('%s calls %s, which is %s', calls.what, proc.oid::regprocedure,
                CASE proc.provolatile WHEN 'v' THEN 'volatile' ELSE format('code of %I', rolname) END)
  FROM calls JOIN pg_proc AS proc ON proc.oid = calls.function JOIN pg_roles ON pg_roles.oid = proc.proowner
  WHERE (proc.provolatile = 'v' OR NOT rolsuper) AND proc.oid NOT IN (SELECT objid FROM ours)
  UNION
  SELECT format('%s reads %s, which may call anything', needs.what, class.oid::regclass)
  FROM needs JOIN pg_class AS class ON class.oid = refobjid JOIN pg_roles ON pg_roles.oid = class.relowner
  WHERE refclassid = 'pg_class'::regclass AND NOT rolsuper AND class.oid NOT IN (SELECT relation FROM members)
    AND (class.relkind = 'v' OR (class.relrowsecurity AND class.oid NOT IN (SELECT relation FROM revdesk.protected_tables)))
  UNION
  SELECT format('%s is a foreign table', relation) FROM members JOIN pg_class ON pg_class.oid = relation WHERE relkind = 'f';
END;
COMMENT ON FUNCTION revdesk.dangers(regclass) IS
  'What fires when rows of a table are read and written, and is neither this extension''s nor harmless by its volatility and a superuser''s: a rollback might not take back what it does.';

CREATE FUNCTION revdesk.existing_row(target regclass) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  query text := (SELECT format('SELECT jsonb_object(ARRAY[%s], ARRAY[%s]::text[]) FROM %s LIMIT 1',
                               string_agg(quote_literal(attname), ', ' ORDER BY attnum),
                               string_agg(format('%I::text', attname), ', ' ORDER BY attnum), target)
                 FROM pg_attribute WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = '');
BEGIN
  RETURN COALESCE((revdesk.run_as(revdesk.owner_of(target), query, true)).value::jsonb, '{}');
END
$$;
COMMENT ON FUNCTION revdesk.existing_row(regclass) IS
  'Some row of a table, as text by column; an empty object if it has none.';

CREATE FUNCTION revdesk.tenant_values(declared revdesk.protected_tables, tenant_id text, umbrella_id text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT COALESCE(jsonb_object_agg(pairs.name, pairs.value), '{}')
  FROM (VALUES ((declared).tenant_column, tenant_id), ((declared).umbrella_column, umbrella_id)) AS pairs (name, value)
  WHERE pairs.name IS NOT NULL;
END;
COMMENT ON FUNCTION revdesk.tenant_values(revdesk.protected_tables, text, text) IS
  'What the columns of a table hold in a row of a tenant.';

-- A row that a new one can refer to.  One of somebody real only where it is not
-- protected and nothing in it is given: the check of the key locks it.
CREATE FUNCTION revdesk.make_referenced(
  key pg_constraint, declared revdesk.protected_tables, fixed jsonb, careful boolean, depth integer)
RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  target regclass := key.confrelid;
  referenced revdesk.protected_tables;
  wanted jsonb;
  "row" jsonb := '{}';
BEGIN
  SELECT * INTO referenced FROM revdesk.protected_tables WHERE relation = target;
  SELECT COALESCE(jsonb_object_agg(there.attname, fixed->>here.attname), '{}') INTO wanted
  FROM unnest(key.conkey, key.confkey) AS pairs (here, there)
  JOIN pg_attribute AS here ON here.attrelid = key.conrelid AND here.attnum = pairs.here
  JOIN pg_attribute AS there ON there.attrelid = target AND there.attnum = pairs.there
  WHERE fixed->>here.attname IS NOT NULL;
  IF referenced.relation IS NULL AND wanted = '{}' THEN
    "row" := revdesk.existing_row(target);
  ELSIF referenced.relation IS NOT NULL THEN
    wanted := revdesk.tenant_values(referenced, fixed->>declared.tenant_column, fixed->>declared.umbrella_column) || wanted;
  END IF;
  IF "row" = '{}' THEN
    "row" := revdesk.make_row(target, wanted, careful, depth + 1);
  END IF;
  RETURN (SELECT jsonb_object_agg(here.attname, "row"->>there.attname)
          FROM unnest(key.conkey, key.confkey) AS pairs (here, there)
          JOIN pg_attribute AS here ON here.attrelid = key.conrelid AND here.attnum = pairs.here
          JOIN pg_attribute AS there ON there.attrelid = target AND there.attnum = pairs.there);
END
$$;
COMMENT ON FUNCTION revdesk.make_referenced(pg_constraint, revdesk.protected_tables, jsonb, boolean, integer) IS
  'Finds or makes a row that a foreign key can refer to, and returns the values of the key''s columns.';

CREATE FUNCTION revdesk.make_row(target regclass, fixed jsonb, careful boolean, depth integer DEFAULT 0) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  owner oid := revdesk.owner_of(target);
  declared revdesk.protected_tables;
  guesses jsonb;
  turns jsonb := '{}';
  given jsonb := fixed;
  "row" jsonb;
  state text;
  message text;
  error_schema name;
  error_table name;
  error_constraint name;
  error_column name;
  error_type name;
  at_fault name[];
  key pg_constraint;
BEGIN
  IF depth > 5 OR (careful AND depth > 0 AND EXISTS (SELECT FROM revdesk.dangers(target))) THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = format('a row of %s is needed, and %s', target,
                       COALESCE((SELECT min(danger) FROM revdesk.dangers(target) AS danger), 'foreign keys go too deep'));
  END IF;
  SELECT * INTO declared FROM revdesk.protected_tables WHERE relation = target;
  SELECT jsonb_object_agg(attname, to_jsonb(revdesk.guesses(target, attribute, template))) INTO guesses
  FROM revdesk.existing_row(target) AS template, pg_attribute AS attribute
  WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = '';

  FOR attempt IN 1 .. 100 LOOP
    SELECT jsonb_object_agg(guess.name, guess.tried -> (COALESCE((turns->>guess.name)::integer, 0) % jsonb_array_length(guess.tried))) || given
    INTO "row" FROM jsonb_each(guesses) AS guess (name, tried);
    BEGIN
      PERFORM revdesk.run_as(owner, revdesk.insert_statement(target, "row"), true);
      RETURN "row";
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, error_schema = SCHEMA_NAME,
        error_table = TABLE_NAME, error_constraint = CONSTRAINT_NAME, error_column = COLUMN_NAME, error_type = PG_DATATYPE_NAME;
    END;

    at_fault := revdesk.columns_at_fault(
      target, to_regclass(format('%I.%I', error_schema, error_table)), error_constraint, error_column, error_type);
    SELECT * INTO key FROM pg_constraint WHERE conrelid = target AND contype = 'f' AND conname = error_constraint;
    IF state = '23503' AND FOUND THEN
      given := given || revdesk.make_referenced(key, declared, fixed, careful, depth);
      CONTINUE;
    ELSIF at_fault = '{}' THEN
      SELECT COALESCE(array_agg(attname), '{}') INTO at_fault FROM pg_attribute
      WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        AND NOT revdesk.casts(owner, "row"->>attname::text, format_type(atttypid, atttypmod));
    END IF;
    at_fault := ARRAY(SELECT name FROM unnest(at_fault) AS name WHERE NOT given ? name::text);
    IF at_fault = '{}' THEN
      EXIT;
    END IF;
    -- One of them, by turns: changed together they would keep their relation.
    error_column := at_fault[1 + attempt % cardinality(at_fault)];
    turns := turns || jsonb_build_object(error_column, COALESCE((turns->>error_column::text)::integer, 0) + 1);
  END LOOP;
  RAISE object_not_in_prerequisite_state USING
    MESSAGE = format('no row of %s can be made: %s %s', target, state, message);
END
$$;
COMMENT ON FUNCTION revdesk.make_row(regclass, jsonb, boolean, integer) IS
  'Inserts a row with some values fixed and the others guessed, and returns it as text by column. 55000 if none fits. careful: not where it would fire what a rollback might not take back.';

-- It refers to what the first row refers to, since nothing made for it stays.
CREATE FUNCTION revdesk.spare_row(target regclass, first jsonb, fixed jsonb, careful boolean) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  spare jsonb;
BEGIN
  SELECT COALESCE(jsonb_object_agg(attname, first->attname::text), '{}') || fixed INTO fixed
  FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
  WHERE conrelid = target AND contype = 'f';
  BEGIN
    spare := revdesk.make_row(target, fixed, careful);
    RAISE SQLSTATE 'RDS00';
  EXCEPTION WHEN SQLSTATE 'RDS00' OR SQLSTATE '55000' THEN
    RETURN COALESCE(spare, first);      -- a tenant may have one row only
  END;
END
$$;
COMMENT ON FUNCTION revdesk.spare_row(regclass, jsonb, jsonb, boolean) IS
  'Another row as first, which was made by make_row(), but not in the table; first itself where there can be no other.';

-- Attacks.

CREATE FUNCTION revdesk.attempt(
  role oid, key_id text, statement text, owner oid DEFAULT NULL, inspection text DEFAULT NULL,
  OUT state text, OUT rows bigint, OUT value text, OUT message text, OUT seen text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  done boolean := false;
BEGIN
  BEGIN
    PERFORM revdesk.impersonate(key_id::uuid);
    SELECT ran.rows, ran.value INTO rows, value FROM revdesk.run_as(role, statement) AS ran;
    state := '00000';
  EXCEPTION WHEN OTHERS THEN
    state := SQLSTATE;
    message := SQLERRM;
  END;
  IF inspection IS NOT NULL THEN
    PERFORM revdesk.impersonate(NULL);
    seen := (revdesk.run_as(owner, inspection, true)).value;
  END IF;
  done := true;
  RAISE SQLSTATE 'RDS00';
EXCEPTION WHEN SQLSTATE 'RDS00' THEN
  IF NOT done THEN
    RAISE;
  END IF;
END
$$;
COMMENT ON FUNCTION revdesk.attempt(oid, text, text, oid, text) IS
  'What comes of a statement by a role for a key, and what the table''s owner sees after it. Undone.';

CREATE FUNCTION revdesk.finding(passed boolean, name text, note text DEFAULT NULL, skipped text DEFAULT NULL) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT jsonb_build_object('passed', COALESCE(passed, false), 'name', name, 'note', note, 'skipped', skipped);
END;
COMMENT ON FUNCTION revdesk.finding(boolean, text, text, text) IS
  'A line of the self-test.';

CREATE FUNCTION revdesk.condition(declared revdesk.protected_tables, cast_of jsonb, who text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE
    WHEN who NOT IN ('a', 'b') THEN format('%I = %L', (declared).tenant_column, cast_of->>who)
    WHEN (declared).tenant_column IS NULL THEN format('%I = %L', (declared).owner_column, cast_of->>who)
    ELSE format('%I IS NULL AND %I = %L', (declared).tenant_column, (declared).owner_column, cast_of->>who) END;
END;
COMMENT ON FUNCTION revdesk.condition(revdesk.protected_tables, jsonb, text) IS
  'The SQL that tells the rows of a stand-in.';

CREATE FUNCTION revdesk.fixed_values(declared revdesk.protected_tables, cast_of jsonb, who text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN who IN ('a', 'b') THEN
           revdesk.tenant_values(declared, NULL, NULL) || jsonb_build_object((declared).owner_column, cast_of->>who)
         ELSE revdesk.tenant_values(declared, cast_of->>who, cast_of->>left(who, 1)) END;
END;
COMMENT ON FUNCTION revdesk.fixed_values(revdesk.protected_tables, jsonb, text) IS
  'What makes a row one of a stand-in.';

-- Whose rows are there: by an index, for each.
CREATE FUNCTION revdesk.looking_query(declared revdesk.protected_tables, cast_of jsonb, made jsonb, seen_in regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT format('SELECT string_agg(who, '','' ORDER BY who) FROM (%s) AS seen (who)',
                string_agg(format('SELECT %L WHERE EXISTS (SELECT FROM %s WHERE %s)', who, seen_in,
                                  revdesk.condition(declared, cast_of, who)), ' UNION ALL '))
  FROM jsonb_object_keys(made) AS who;
END;
COMMENT ON FUNCTION revdesk.looking_query(revdesk.protected_tables, jsonb, jsonb, regclass) IS
  'A query for the names of the stand-ins whose rows it sees in a table, child or view.';

CREATE FUNCTION revdesk.may_see(declared revdesk.protected_tables, key text) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE key
    WHEN 'key A' THEN '{A,A1,A2}'
    WHEN 'key A1' THEN CASE WHEN (declared).walk_up THEN '{A,A1}' ELSE '{A1}' END
    WHEN 'key B1' THEN CASE WHEN (declared).walk_up THEN '{B,B1}' ELSE '{B1}' END
    WHEN 'key a' THEN '{A1,a}'
    WHEN 'key b' THEN '{B1,b}'
    ELSE '{}' END::text[];
END;
COMMENT ON FUNCTION revdesk.may_see(revdesk.protected_tables, text) IS
  'The stand-ins whose rows a key may see.';

CREATE FUNCTION revdesk.judge_sight(
  declared revdesk.protected_tables, made jsonb, key text, name text, state text, seen text, message text)
RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.finding(
    state IN ('00000', '42501') AND COALESCE(string_to_array(seen, ','), '{}') <@ revdesk.may_see(declared, key), name,
    CASE
      WHEN state <> '00000' THEN format('refused: %s %s', state, message)
      WHEN NOT COALESCE(string_to_array(seen, ','), '{}') <@ revdesk.may_see(declared, key)
        THEN format('sees the rows of %s, may see those of %s', seen, COALESCE(NULLIF(array_to_string(revdesk.may_see(declared, key), ','), ''), 'nobody'))
      WHEN seen IS NULL AND EXISTS (SELECT FROM jsonb_object_keys(made) AS who WHERE who = ANY (revdesk.may_see(declared, key)))
        THEN 'sees nothing at all, not even its own' END);
END;
COMMENT ON FUNCTION revdesk.judge_sight(revdesk.protected_tables, jsonb, text, text, text, text, text) IS
  'The line for what a key sees: no more than it may.';

CREATE FUNCTION revdesk.attack_by_reading(declared revdesk.protected_tables, role oid, cast_of jsonb, made jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  query text := revdesk.looking_query(declared, cast_of, made, declared.relation);
  tried record;
  reading record;
BEGIN
  tried := revdesk.attempt(role, NULL, format('SELECT row_security_active(%L::regclass)', declared.relation));
  RETURN NEXT revdesk.finding(tried.value = 't', 'row security holds for the role', tried.message);
  IF EXISTS (SELECT FROM unnest(ARRAY[declared.tenant_column, declared.owner_column]) AS name
             WHERE name IS NOT NULL AND NOT has_column_privilege(role, declared.relation, name, 'SELECT')) THEN
    RETURN NEXT revdesk.finding(true, 'reading', NULL, 'the role may not SELECT the columns that tell whose a row is');
    RETURN;
  END IF;
  FOR reading IN
    SELECT * FROM (VALUES
      (NULL, 'reading without a key finds nothing'),
      ('key A1', 'reading with a sub-entity''s key finds its rows alone'
                 || CASE WHEN declared.walk_up THEN ', and its umbrella''s' ELSE '' END),
      ('key A', 'reading with an organization''s key finds its rows and its sub-entities'' alone'),
      ('key a', 'reading with a user''s key finds the rows of its tenants, and its own, alone')) AS readings (key, name)
  LOOP
    tried := revdesk.attempt(role, cast_of->>reading.key, query);
    RETURN NEXT revdesk.judge_sight(declared, made, reading.key, reading.name, tried.state, tried.value, tried.message);
  END LOOP;
  RETURN QUERY SELECT revdesk.attack_cached_plan(declared, role, cast_of, made, query);
END
$$;
COMMENT ON FUNCTION revdesk.attack_by_reading(revdesk.protected_tables, oid, jsonb, jsonb) IS
  'Attacks of the self-test: reading.';

CREATE FUNCTION revdesk.attack_cached_plan(
  declared revdesk.protected_tables, role oid, cast_of jsonb, made jsonb, query text) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  prepared text := quote_ident('revdesk_selftest_' || gen_random_uuid());
  key text;
  seen text;
  finding jsonb;
  done boolean := false;
BEGIN
  PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
  EXECUTE format('PREPARE %s AS %s', prepared, query);
  FOREACH key IN ARRAY '{key A1,no key,key A,key a,key B1,no key,key A1}'::text[] LOOP
    PERFORM revdesk.impersonate((cast_of->>key)::uuid);
    seen := (revdesk.run_as(role, 'EXECUTE ' || prepared)).value;
    finding := revdesk.judge_sight(declared, made, key, 'one plan, for one key after the other, finds the rows of each alone',
                                   '00000', seen, NULL);
    EXIT WHEN NOT (finding->>'passed')::boolean;
  END LOOP;
  done := true;
  RAISE SQLSTATE 'RDS00';
EXCEPTION WHEN OTHERS THEN
  -- A rollback leaves a prepared statement.
  IF EXISTS (SELECT FROM pg_prepared_statements WHERE quote_ident(name) = prepared) THEN
    EXECUTE 'DEALLOCATE ' || prepared;
  END IF;
  IF done THEN
    RETURN finding;
  END IF;
  RETURN revdesk.finding(SQLSTATE = '42501', 'one plan, for one key after the other, finds the rows of each alone',
                         format('refused: %s %s', SQLSTATE, SQLERRM));
END
$$;
COMMENT ON FUNCTION revdesk.attack_cached_plan(revdesk.protected_tables, oid, jsonb, jsonb, text) IS
  'Attack of the self-test: a prepared statement with a generic plan, run for several keys.';

-- A default that is evaluated may move a sequence, or worse.
CREATE FUNCTION revdesk.cannot_attack(declared revdesk.protected_tables, role oid, command text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE
    WHEN command = 'DELETE' AND NOT has_table_privilege(role, (declared).relation, command)
      OR command <> 'DELETE' AND NOT has_any_column_privilege(role, (declared).relation, command)
      THEN format('the role may not %s', command)
    WHEN command = 'INSERT'
      THEN (SELECT format('the role may not give column %I, and its default would be evaluated', min(attname))
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
            WHERE attrelid = (declared).relation AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
              AND NOT has_column_privilege(role, attrelid, attnum, 'INSERT')
              AND (attidentity <> ''
                   OR pg_get_expr(adbin, adrelid) ~ '\(' AND pg_get_expr(adbin, adrelid) !~ '^(now|gen_random_uuid|clock_timestamp)\(\)$')
            HAVING count(*) > 0)
    -- The missing privilege would refuse what the policies may let pass.
    ELSE (SELECT format('the role may not SELECT column %I, by which rows are told', min(name))
          FROM unnest(ARRAY[(declared).tenant_column, (declared).owner_column]) AS name
          WHERE NOT has_column_privilege(role, (declared).relation, name, 'SELECT')
          HAVING count(*) > 0) END;
END;
COMMENT ON FUNCTION revdesk.cannot_attack(revdesk.protected_tables, oid, text) IS
  'Why a role cannot try a command on a table; null if it can.';

-- By a cursor: with a condition, or RETURNING, the policies for SELECT would
-- hold the new row, too, and hide that those for UPDATE do not.
CREATE FUNCTION revdesk.moving_statement(target regclass, condition text, assignments text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT format('DO %L', format($do$
    DECLARE
      mine refcursor;
    BEGIN
      OPEN mine FOR SELECT FROM %1$s WHERE %2$s FOR UPDATE;
      MOVE mine;
      IF FOUND THEN
        UPDATE %1$s SET %3$s WHERE CURRENT OF mine;
        IF FOUND THEN
          RAISE SQLSTATE 'RDS01';
        END IF;
      END IF;
    END
    $do$, target, condition, assignments));
END;
COMMENT ON FUNCTION revdesk.moving_statement(regclass, text, text) IS
  'Updates one row of a condition, without a condition; RDS01 if that was let through.';

-- Every statement that may have changed somebody else's rows leaves them as
-- they were; one that is to be refused is refused by row security: another
-- error would hide that the policies let it pass.
CREATE FUNCTION revdesk.attack_by_writing(declared revdesk.protected_tables, role oid, cast_of jsonb, made jsonb, spare jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  target regclass := declared.relation;
  owner oid := revdesk.owner_of(target);
  personal boolean := declared.tenant_column IS NULL;
  mine text := CASE WHEN personal THEN 'a' ELSE 'A1' END;
  attack record;
  tried record;
  unable text;
  fingerprint text := (
    SELECT format('SELECT md5(string_agg(%1$I::text, '','' ORDER BY %1$I::text)) FROM %2$s AS %1$I WHERE %3$s', 'self-test', target,
                  string_agg(format('(%s)', revdesk.condition(declared, cast_of, who)), ' OR '))
    FROM jsonb_object_keys(made) AS who WHERE who <> mine);
  before text := (revdesk.run_as(owner, fingerprint, true)).value;
BEGIN
  FOR attack IN
    WITH others (who, is_called) AS (
      SELECT * FROM (VALUES ('A', 'the umbrella'), ('A2', 'a sibling'), ('B1', 'another organization''s tenant'),
                            ('b', 'another user')) AS others (who, is_called)
      WHERE made ? who
    ), column_of (mine, rows) AS (
      SELECT COALESCE(declared.tenant_column, declared.owner_column), revdesk.condition(declared, cast_of, mine)
    ), changed (name) AS (
      SELECT attname FROM pg_attribute
      WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a'
        AND has_column_privilege(role, target, attnum, 'UPDATE')
      ORDER BY attname IN (declared.tenant_column, declared.owner_column), attnum LIMIT 1
    )
    SELECT format('inserting a row of %s is refused', is_called) AS name, 'INSERT' AS command,
           revdesk.insert_statement(target, spare || revdesk.fixed_values(declared, cast_of, who), role) AS statement
    FROM others
    UNION ALL
    SELECT 'inserting a row of nobody is refused', 'INSERT',
           revdesk.insert_statement(target, spare || jsonb_build_object(column_of.mine, NULL), role) FROM column_of
    UNION ALL
    SELECT format('moving a row to %s is refused', is_called), 'UPDATE',
           (SELECT revdesk.moving_statement(target, column_of.rows, string_agg(format('%I = %L', key, value), ', '))
            FROM jsonb_each_text(revdesk.fixed_values(declared, cast_of, who)) AS pairs (key, value)
            WHERE key IS DISTINCT FROM declared.umbrella_column)
    FROM others, column_of
    UNION ALL
    SELECT 'moving a row to nobody is refused', 'UPDATE',
           revdesk.moving_statement(target, column_of.rows, format('%I = NULL', column_of.mine)) FROM column_of
    UNION ALL
    SELECT format('updating the rows of %s changes nothing', is_called), 'UPDATE',
           format('UPDATE %s SET %2$I = %2$I WHERE %3$s', target, changed.name, revdesk.condition(declared, cast_of, who)) FROM others, changed
    UNION ALL
    SELECT format('deleting the rows of %s changes nothing', is_called), 'DELETE',
           format('DELETE FROM %s WHERE %s', target, revdesk.condition(declared, cast_of, who)) FROM others
  LOOP
    unable := revdesk.cannot_attack(declared, role, attack.command);
    IF unable IS NOT NULL THEN
      RETURN NEXT revdesk.finding(true, attack.name, NULL, unable);
      CONTINUE;
    END IF;
    tried := revdesk.attempt(role, cast_of->>('key ' || mine), attack.statement, owner, fingerprint);
    RETURN NEXT revdesk.finding(
      tried.seen IS NOT DISTINCT FROM before
      AND (tried.state = '42501' OR (tried.state = '00000' AND tried.rows = 0)),
      attack.name,
      CASE WHEN tried.state = 'RDS01' THEN 'the row was moved'
           WHEN tried.state = '00000' AND tried.rows > 0 THEN format('%s rows were written', tried.rows)
           WHEN tried.state NOT IN ('00000', '42501') THEN format('refused, but not by row security: %s %s', tried.state, tried.message) END);
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.attack_by_writing(revdesk.protected_tables, oid, jsonb, jsonb, jsonb) IS
  'Attacks of the self-test: writing rows of others.';

-- What a unique key tells: nothing, if it holds the tenant (or for personal rows
-- the owner), or a uuid, which cannot be guessed.
CREATE FUNCTION revdesk.attack_by_keys(declared revdesk.protected_tables, role oid, cast_of jsonb, made jsonb, spare jsonb)
RETURNS SETOF jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  mine text := CASE WHEN declared.tenant_column IS NULL THEN 'a' ELSE 'A1' END;
  other text := CASE WHEN declared.tenant_column IS NULL THEN 'b' ELSE 'B1' END;
  owner oid := revdesk.owner_of(declared.relation);
  unable text := revdesk.cannot_attack(declared, role, 'INSERT');
  theirs text := format('SELECT count(*)::text FROM %s WHERE %s', declared.relation, revdesk.condition(declared, cast_of, other));
  key record;
  forged text;
  tried record;
BEGIN
  FOR key IN
    SELECT indexrelid::regclass AS index, array_agg(attname::text ORDER BY attnum) AS columns, indimmediate AND indpred IS NULL AS arbiter,
           bool_or(attname = COALESCE(declared.tenant_column, declared.owner_column)) AS holds_tenant,
           bool_or(atttypid = 'uuid'::regtype) AS secret, 0 = ANY (indkey) AS computed
    FROM pg_index JOIN pg_attribute ON attrelid = indrelid
     AND (attnum = ANY ((indkey::smallint[])[0 : indnkeyatts - 1])
          OR 0 = ANY (indkey) AND EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = indexrelid
              AND refclassid = 'pg_class'::regclass AND refobjid = indrelid AND refobjsubid = attnum))
    WHERE indrelid = declared.relation AND indisunique
    GROUP BY pg_index.indexrelid, indimmediate, indpred IS NULL, indkey::text, 0 = ANY (indkey)
    ORDER BY 1
  LOOP
    IF key.holds_tenant THEN
      RETURN NEXT revdesk.finding(true, format('unique index %s does not tell of hidden rows', key.index));
      CONTINUE;
    ELSIF unable IS NOT NULL THEN
      RETURN NEXT revdesk.finding(true, format('unique index %s does not tell of hidden rows', key.index), NULL, unable);
      CONTINUE;
    END IF;
    forged := revdesk.insert_statement(
      declared.relation,
      spare || (SELECT COALESCE(jsonb_object_agg(name, made->other->name), '{}') FROM unnest(key.columns) AS name)
      || revdesk.fixed_values(declared, cast_of, mine), role);
    tried := revdesk.attempt(role, cast_of->>('key ' || mine), forged);
    RETURN NEXT revdesk.finding(
      tried.state <> '23505' OR key.secret, format('unique index %s does not tell of hidden rows', key.index),
      CASE WHEN tried.state = '23505' AND key.secret THEN 'it would, to whoever guesses a uuid'
           WHEN tried.state = '23505' THEN tried.message || '; a key that holds the tenant does not tell' END);
    IF key.arbiter AND NOT key.computed THEN
      tried := revdesk.attempt(
        role, cast_of->>('key ' || mine),
        format('%s ON CONFLICT (%s) DO UPDATE SET %s', forged, (SELECT string_agg(quote_ident(name), ', ') FROM unnest(key.columns) AS name),
               format('%1$I = excluded.%1$I', COALESCE(declared.tenant_column, declared.owner_column))), owner, theirs);
      RETURN NEXT revdesk.finding(
        tried.seen = (revdesk.run_as(owner, theirs, true)).value,
        format('an upsert by unique index %s leaves the rows of others', key.index), tried.message);
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.attack_by_keys(revdesk.protected_tables, oid, jsonb, jsonb, jsonb) IS
  'Attacks of the self-test: unique keys, and upserts by them.';

CREATE FUNCTION revdesk.attack_umbrella(declared revdesk.protected_tables, role oid, cast_of jsonb, spare jsonb) RETURNS SETOF jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  lies text := format('SELECT count(*)::text FROM %s WHERE %I = %L', declared.relation, declared.umbrella_column, cast_of->>'B');
  before text := (revdesk.run_as(revdesk.owner_of(declared.relation), lies, true)).value;
  attack record;
  tried record;
  unable text;
BEGIN
  FOR attack IN
    SELECT 'INSERT' AS command, 'inserting a row under another umbrella is set right' AS name,
           revdesk.insert_statement(
             declared.relation, spare || revdesk.tenant_values(declared, cast_of->>'A1', cast_of->>'B'), role) AS statement
    UNION ALL
    SELECT 'UPDATE', 'moving a row under another umbrella is set right',
           format('UPDATE %s SET %I = %L WHERE %s', declared.relation, declared.umbrella_column, cast_of->>'B',
                  revdesk.condition(declared, cast_of, 'A1'))
  LOOP
    unable := revdesk.cannot_attack(declared, role, attack.command);
    IF unable IS NOT NULL THEN
      RETURN NEXT revdesk.finding(true, attack.name, NULL, unable);
      CONTINUE;
    END IF;
    tried := revdesk.attempt(role, cast_of->>'key A1', attack.statement, revdesk.owner_of(declared.relation), lies);
    RETURN NEXT revdesk.finding(
      tried.seen = before AND tried.state IN ('00000', '42501'), attack.name,
      CASE WHEN tried.seen <> before THEN 'the other organization now sees the row' ELSE tried.message END);
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.attack_umbrella(revdesk.protected_tables, oid, jsonb, jsonb) IS
  'Attacks of the self-test: a lie in the umbrella column.';

-- Not tried: TRUNCATE would lock out everybody, and COPY to a file or program
-- would leave one.
CREATE FUNCTION revdesk.check_privileges(declared revdesk.protected_tables, role oid) RETURNS SETOF jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.finding(
    count(privilege) = 0, 'TRUNCATE, TRIGGER and REFERENCES are not granted',
    string_agg(format('%s on %s', privilege, member), ', ' ORDER BY privilege, member::text) FILTER (WHERE privilege IS NOT NULL))
  FROM revdesk.relation_tree((declared).relation) AS member
  LEFT JOIN unnest('{TRUNCATE,TRIGGER,REFERENCES}'::text[]) AS privilege
    ON has_table_privilege(role, member, privilege)
    OR privilege = 'REFERENCES' AND has_any_column_privilege(role, member, privilege)
  UNION ALL
  SELECT revdesk.finding(
    count(may.name) = 0, 'COPY reaches no file and no program of the server', 'through ' || string_agg(may.name, ', '))
  FROM (SELECT rolname::text FROM pg_roles
        WHERE rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
          AND pg_has_role(role, oid, 'MEMBER')) AS may (name);
END;
COMMENT ON FUNCTION revdesk.check_privileges(revdesk.protected_tables, oid) IS
  'Lines of the self-test: privileges that no row security holds.';

-- The check of a foreign key reads past row security.
CREATE FUNCTION revdesk.check_foreign_keys(declared revdesk.protected_tables, role oid) RETURNS SETOF jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.finding(
    EXISTS (SELECT FROM unnest(con.conkey, con.confkey) AS pairs (here, there)
            JOIN pg_attribute AS here ON here.attrelid = con.conrelid AND here.attnum = pairs.here
            JOIN pg_attribute AS there ON there.attrelid = con.confrelid AND there.attnum = pairs.there
            WHERE here.attname = COALESCE(child.tenant_column, child.owner_column)
              AND there.attname = COALESCE(parent.tenant_column, parent.owner_column)),
    format('a row of %s refers to no hidden row of %s by %I', con.conrelid::regclass, con.confrelid::regclass, con.conname),
    CASE WHEN child.relation IS NULL THEN format('%s is not protected', con.conrelid::regclass)
         ELSE 'a foreign key is safe that holds the tenant on both sides' END)
  FROM pg_constraint AS con
  JOIN revdesk.protected_tables AS parent ON parent.relation = con.confrelid
  LEFT JOIN revdesk.protected_tables AS child ON child.relation = con.conrelid
  WHERE con.contype = 'f' AND con.conparentid = 0
    AND (con.conrelid = (declared).relation OR (con.confrelid = (declared).relation AND child.relation IS NULL))
    AND (has_any_column_privilege(role, con.conrelid, 'INSERT') OR has_any_column_privilege(role, con.conrelid, 'UPDATE'))
  ORDER BY con.conname;
END;
COMMENT ON FUNCTION revdesk.check_foreign_keys(revdesk.protected_tables, oid) IS
  'Lines of the self-test: foreign keys to protected tables that a role can write.';

-- Policies of a child hold who names it, those of the parent who does not.  A
-- row of another tenant is made in each.
CREATE FUNCTION revdesk.attack_child(
  declared revdesk.protected_tables, child regclass, role oid, cast_of jsonb, careful boolean)
RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  mine text := CASE WHEN declared.tenant_column IS NULL THEN 'a' ELSE 'A1' END;
  other text := CASE WHEN declared.tenant_column IS NULL THEN 'b' ELSE 'B1' END;
  made jsonb := jsonb_build_object(other, NULL);
  theirs text := revdesk.condition(declared, cast_of, other);
  tried record;
  problem text;
  done boolean := false;
BEGIN
  BEGIN
    PERFORM revdesk.make_row(child, revdesk.fixed_values(declared, cast_of, other), careful);
  EXCEPTION WHEN SQLSTATE '55000' THEN
    NULL;                       -- it may hold one of the parent's
  END;
  tried := revdesk.attempt(role, NULL, format('SELECT row_security_active(%L::regclass)', child));
  IF tried.value IS DISTINCT FROM 't' THEN
    problem := format('%s has no row security', child);
  END IF;
  tried := revdesk.attempt(role, NULL, revdesk.looking_query(declared, cast_of, made, child));
  IF tried.value IS NOT NULL THEN
    problem := format('%s shows rows without a key', child);
  END IF;
  tried := revdesk.attempt(role, cast_of->>('key ' || mine), revdesk.looking_query(declared, cast_of, made, child));
  IF tried.value IS NOT NULL THEN
    problem := format('%s shows rows of others', child);
  END IF;
  tried := revdesk.attempt(role, cast_of->>('key ' || mine), format('DELETE FROM %s WHERE %s', child, theirs));
  IF tried.rows > 0 THEN
    problem := format('rows of others can be deleted from %s', child);
  END IF;
  done := true;
  RAISE SQLSTATE 'RDS00';
EXCEPTION WHEN SQLSTATE 'RDS00' THEN
  IF NOT done THEN
    RAISE;
  END IF;
  RETURN problem;
END
$$;
COMMENT ON FUNCTION revdesk.attack_child(revdesk.protected_tables, regclass, oid, jsonb, boolean) IS
  'What is wrong with a partition or child that is named itself; null for nothing. Undone.';

CREATE FUNCTION revdesk.attack_children(declared revdesk.protected_tables, role oid, cast_of jsonb, careful boolean) RETURNS SETOF jsonb
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT revdesk.finding(
    count(tried.problem) = 0, 'partitions and children named themselves show no more', string_agg(tried.problem, '; '))
  FROM revdesk.relation_tree((declared).relation) AS member
  CROSS JOIN LATERAL revdesk.attack_child(declared, member, role, cast_of, careful) AS tried (problem)
  WHERE member <> (declared).relation
    AND (has_any_column_privilege(role, member, 'SELECT, INSERT, UPDATE') OR has_table_privilege(role, member, 'DELETE'))
  HAVING count(*) > 0;
END;
COMMENT ON FUNCTION revdesk.attack_children(revdesk.protected_tables, oid, jsonb, boolean) IS
  'Attacks of the self-test: partitions and children that the role may use past their parent.';

-- Which role reads a table in the end: a view's owner does, unless the view is
-- security_invoker.
CREATE FUNCTION revdesk.views_on(
  target regclass, role oid, OUT view regclass, OUT kind "char", OUT reader oid, OUT member regclass)
RETURNS SETOF record
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH RECURSIVE uses (used, by, kind, owner, invoker) AS (
    SELECT depend.refobjid, class.oid, class.relkind, class.relowner,
           COALESCE((SELECT option_value::boolean FROM pg_options_to_table(class.reloptions) WHERE option_name = 'security_invoker'), false)
    FROM pg_rewrite AS rule
    JOIN pg_depend AS depend ON depend.classid = 'pg_rewrite'::regclass AND depend.objid = rule.oid
      AND depend.refclassid = 'pg_class'::regclass AND depend.refobjid <> rule.ev_class
    JOIN pg_class AS class ON class.oid = rule.ev_class
    WHERE class.relkind IN ('v', 'm')
  ), above (view, kind, reader, member) AS (
    SELECT by, kind, CASE WHEN invoker AND kind = 'v' THEN NULL ELSE owner END, used
    FROM uses WHERE used IN (SELECT revdesk.relation_tree(target))
    UNION
    -- Above a view that reads as its owner it does not matter who asks.
    SELECT uses.by, CASE WHEN 'm' IN (uses.kind, above.kind) THEN 'm' ELSE 'v' END::"char",
           COALESCE(above.reader, CASE WHEN uses.invoker AND uses.kind = 'v' THEN NULL ELSE uses.owner END),
           above.member
    FROM above JOIN uses ON uses.used = above.view
  )
  SELECT DISTINCT above.view::regclass, above.kind, COALESCE(above.reader, role), above.member::regclass
  FROM above
  WHERE has_any_column_privilege(role, above.view, 'SELECT, INSERT, UPDATE') OR has_table_privilege(role, above.view, 'DELETE');
END;
COMMENT ON FUNCTION revdesk.views_on(regclass, oid) IS
  'Views on a table, at any remove, that a role may read or write, which of the table''s members each reads, and as whom; kind m where a materialized one lies between.';

CREATE FUNCTION revdesk.attack_views(declared revdesk.protected_tables, role oid, cast_of jsonb, made jsonb) RETURNS SETOF jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  found record;
  tried record;
  problem text;
BEGIN
  FOR found IN SELECT * FROM revdesk.views_on(declared.relation, role) ORDER BY view::text, kind, reader, member::text LOOP
    problem := NULL;
    IF found.kind = 'm' THEN
      problem := 'it holds what its owner saw when it was refreshed';
    ELSE
      tried := revdesk.attempt(found.reader, NULL, format('SELECT row_security_active(%L::regclass)', found.member));
      IF tried.value IS DISTINCT FROM 't' THEN
        problem := format('it reads %s as %s, whom row security does not hold; set security_invoker', found.member, found.reader::regrole);
      END IF;
    END IF;
    RETURN NEXT revdesk.finding(problem IS NULL, format('view %s reaches no more', found.view), problem);
  END LOOP;
END
$$;
COMMENT ON FUNCTION revdesk.attack_views(revdesk.protected_tables, oid, jsonb, jsonb) IS
  'Lines of the self-test: views that a role may read or write.';

CREATE FUNCTION revdesk.check_owner(declared revdesk.protected_tables, cast_of jsonb, made jsonb) RETURNS SETOF jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  owner pg_roles := (SELECT pg_roles FROM pg_roles WHERE oid = revdesk.owner_of(declared.relation));
  tried record;
BEGIN
  IF owner.rolsuper OR owner.rolbypassrls THEN
    RETURN;
  END IF;
  tried := revdesk.attempt(owner.oid, NULL, revdesk.looking_query(declared, cast_of, made, declared.relation));
  RETURN NEXT revdesk.judge_sight(declared, made, NULL, format('its owner, %I, sees nothing without a key either', owner.rolname),
                                  tried.state, tried.value, tried.message);
END
$$;
COMMENT ON FUNCTION revdesk.check_owner(revdesk.protected_tables, jsonb, jsonb) IS
  'Line of the self-test: row security is forced.';

-- All attacks on a table by a role.  The rows that they are after come first:
-- those of tenants and, where there can be any, of users.
CREATE FUNCTION revdesk.attack_table(declared revdesk.protected_tables, role oid, careful boolean) RETURNS SETOF jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  cast_of jsonb := revdesk.make_stand_ins();
  made jsonb := '{}';
  spare jsonb;
  who text;
  mine text := CASE WHEN declared.tenant_column IS NULL THEN 'a' ELSE 'A1' END;
BEGIN
  FOREACH who IN ARRAY CASE WHEN declared.tenant_column IS NULL THEN '{a,b}' ELSE '{A1,B1,A,A2,B}' END::text[] LOOP
    made := made || jsonb_build_object(who, revdesk.make_row(declared.relation, revdesk.fixed_values(declared, cast_of, who), careful));
  END LOOP;
  IF declared.tenant_column IS NOT NULL AND declared.owner_column IS NOT NULL
     AND NOT (SELECT attnotnull FROM pg_attribute WHERE attrelid = declared.relation AND attname = declared.tenant_column) THEN
    FOREACH who IN ARRAY '{a,b}'::text[] LOOP
      made := made || jsonb_build_object(who, revdesk.make_row(declared.relation, revdesk.fixed_values(declared, cast_of, who), careful));
    END LOOP;
  END IF;
  spare := revdesk.spare_row(declared.relation, made->mine, revdesk.fixed_values(declared, cast_of, mine), careful);

  RETURN QUERY SELECT revdesk.attack_by_reading(declared, role, cast_of, made);
  RETURN QUERY SELECT revdesk.attack_by_writing(declared, role, cast_of, made, spare);
  RETURN QUERY SELECT revdesk.attack_by_keys(declared, role, cast_of, made, spare);
  IF declared.umbrella_column IS NOT NULL THEN
    RETURN QUERY SELECT revdesk.attack_umbrella(declared, role, cast_of, spare);
  END IF;
  RETURN QUERY SELECT revdesk.attack_children(declared, role, cast_of, careful);
  RETURN QUERY SELECT revdesk.attack_views(declared, role, cast_of, made);
  RETURN QUERY SELECT revdesk.check_foreign_keys(declared, role);
  RETURN QUERY SELECT revdesk.check_privileges(declared, role);
  RETURN QUERY SELECT revdesk.check_owner(declared, cast_of, made);
END
$$;
COMMENT ON FUNCTION revdesk.attack_table(revdesk.protected_tables, oid, boolean) IS
  'The lines of the self-test for a table and a role. To be rolled back.';

-- PUBLIC is no role that could act.
CREATE FUNCTION revdesk.attacker(target regclass, role oid) RETURNS oid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  stand_in name := 'revdesk_selftest_' || gen_random_uuid();
BEGIN
  IF role <> 0 THEN
    RETURN role;
  END IF;
  EXECUTE format('CREATE ROLE %I', stand_in);
  RETURN (SELECT oid FROM pg_roles WHERE rolname = stand_in);
END
$$;
COMMENT ON FUNCTION revdesk.attacker(regclass, oid) IS
  'A role, or for 0 one that is made for the purpose, with the privileges of PUBLIC. To be rolled back.';

CREATE FUNCTION revdesk.selftest(declared revdesk.protected_tables, role oid, allow_triggers boolean) RETURNS SETOF jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  findings jsonb[];
  dangers text := (SELECT string_agg(danger, '; ' ORDER BY danger) FROM revdesk.dangers(declared.relation) AS danger);
  message text;
  done boolean := false;
BEGIN
  IF dangers IS NOT NULL AND (NOT allow_triggers OR revdesk.reaches_server(role)) THEN
    RETURN NEXT revdesk.finding(true, 'attacks', dangers, CASE WHEN allow_triggers
      THEN 'not tried, since the role reaches files or programs of the server, and would run what fires'
      ELSE 'not tried, since a rollback might not take back what fires; see allow_triggers' END);
    RETURN QUERY SELECT revdesk.check_foreign_keys(declared, role) WHERE role <> 0;
    RETURN QUERY SELECT revdesk.check_privileges(declared, role) WHERE role <> 0;
    RETURN;
  END IF;
  BEGIN
    PERFORM set_config('row_security', 'on', true), set_config('session_replication_role', 'origin', true);
    IF current_setting('lock_timeout') = '0' THEN
      PERFORM set_config('lock_timeout', '2s', true);
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;  -- what revdesk.run_as() runs can defer nothing
    SELECT array_agg(finding) INTO findings
    FROM revdesk.attack_table(declared, revdesk.attacker(declared.relation, role), NOT allow_triggers) AS finding;
    done := true;
    RAISE SQLSTATE 'RDS00';
  EXCEPTION WHEN OTHERS THEN
    message := SQLERRM;
    IF SQLSTATE = '55000' THEN
      findings := ARRAY[revdesk.finding(true, 'attacks', message, 'no rows to attack could be made')];
    ELSIF NOT done THEN
      findings := ARRAY[revdesk.finding(false, 'attacks could be tried', format('%s %s', SQLSTATE, message))];
    END IF;
  END;
  RETURN QUERY SELECT unnest(findings);
END
$$;
COMMENT ON FUNCTION revdesk.selftest(revdesk.protected_tables, oid, boolean) IS
  'The lines of the self-test for a table and a role. All that it does is undone.';

CREATE FUNCTION @extschema@.revdesk_selftest(
  target regclass DEFAULT NULL, role name DEFAULT NULL, allow_triggers boolean DEFAULT false)
RETURNS SETOF text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  attacker pg_roles;
  attack record;
  finding jsonb;
  line integer := 0;
  jit text := current_setting('jit');
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) OR @extschema@.revdesk_scope() IS NOT NULL THEN
    RAISE insufficient_privilege USING
      MESSAGE = 'must be superuser, without a context, to run the self-test';
  END IF;
  IF target IS NOT NULL AND NOT EXISTS (SELECT FROM revdesk.protected_tables WHERE relation = target) THEN
    RAISE object_not_in_prerequisite_state USING
      MESSAGE = format('table %s is not protected', target),
      HINT = 'Protect it with revdesk_protect().';
  END IF;
  IF role IS NOT NULL THEN
    SELECT * INTO attacker FROM pg_roles WHERE rolname = role;
    IF NOT FOUND THEN
      RAISE undefined_object USING MESSAGE = format('role "%s" does not exist', role);
    END IF;
  END IF;

  -- Queries on the catalogs look costly and are not.
  PERFORM set_config('jit', 'off', true);
  FOR attack IN
    SELECT registered AS declared, chosen.oid, COALESCE(pg_roles.rolname, 'PUBLIC') AS rolname
    FROM revdesk.protected_tables AS registered
    LEFT JOIN LATERAL (
      SELECT attacker.oid WHERE role IS NOT NULL
      UNION ALL
      SELECT roles FROM revdesk.roles_of(registered.relation) AS roles WHERE role IS NULL) AS chosen (oid) ON true
    LEFT JOIN pg_roles ON pg_roles.oid = chosen.oid
    WHERE CASE WHEN target IS NULL THEN registered.relation = registered.root ELSE registered.relation = target END
    ORDER BY registered.relation::text, rolname
  LOOP
    IF attack.oid IS NULL THEN
      line := line + 1;
      RETURN NEXT format('ok %s - %s: attacks # SKIP no role but its owner may use it', line, (attack.declared).relation);
      CONTINUE;
    END IF;
    FOR finding IN SELECT revdesk.selftest(attack.declared, attack.oid, allow_triggers) LOOP
      line := line + 1;
      RETURN NEXT format('%s %s - %s', CASE WHEN (finding->>'passed')::boolean THEN 'ok' ELSE 'not ok' END, line,
                         regexp_replace(format('%s as %s: %s', (attack.declared).relation, attack.rolname, finding->>'name'), '[#\s]+', ' ', 'g'))
                  || COALESCE(' # SKIP ' || (finding->>'skipped'), '');
      IF finding->>'note' <> '' THEN
        RETURN QUERY SELECT '# ' || note FROM regexp_split_to_table(finding->>'note', '[\r\n]+') AS note;
      END IF;
    END LOOP;
  END LOOP;
  PERFORM set_config('jit', jit, true);
  RETURN NEXT '1..' || line || CASE WHEN line = 0 THEN ' # SKIP no table is protected' ELSE '' END;
END
$$;
COMMENT ON FUNCTION @extschema@.revdesk_selftest(regclass, name, boolean) IS
  'Attacks the protected tables, or one, as each role that may use them, or as one, and returns TAP lines: "not ok" for a hole. Makes tenants, keys and rows of its own and rolls all back. A table with triggers of the user''s, rules or volatile functions is attacked only with allow_triggers. For superusers.';
