-- The words for scopes, access levels and environments: those, spelled so, and no others.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fixture :abs_srcdir '/sql/include/fixture.sql'
\set ECHO none
\o /dev/null
\i :fixture
\o
\set ECHO all
-- Every combination that the table takes is a context with the same words.
CREATE TABLE app.combinations AS
SELECT row_number() OVER (ORDER BY scope, access, environment) AS number, scope, access, environment
FROM unnest(ARRAY['user', 'organization', 'sub_entity']) AS scope,
     unnest(ARRAY['read', 'write', 'admin']) AS access,
     unnest(ARRAY['production', 'development']) AS environment;
DO $$
DECLARE
  tried record;
  got record;
BEGIN
  FOR tried IN SELECT * FROM app.combinations ORDER BY number LOOP
    BEGIN
      PERFORM app.add_key('e' || to_hex(0), tried.scope,
                          CASE tried.scope WHEN 'organization' THEN 'A' WHEN 'sub_entity' THEN 'A1' END,
                          CASE tried.scope WHEN 'user' THEN 'ulla' END, tried.access);
      UPDATE revdesk.api_keys SET environment = tried.environment WHERE name = 'key e0';
      PERFORM revdesk_authenticate(app.token('e0'));
      SELECT * INTO got FROM revdesk_context();
      RAISE NOTICE '% % %: %', tried.scope, tried.access, tried.environment,
        CASE WHEN row(got.scope, got.access, got.environment) = row(tried.scope, tried.access, tried.environment)
             THEN 'same' ELSE format('%s %s %s', got.scope, got.access, got.environment) END;
      RAISE EXCEPTION 'undo' USING ERRCODE = 'UNDO0';
    EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
      NULL;
    END;
  END LOOP;
END
$$;

-- Other words are refused by the table and by the functions.
SELECT word,
       app.try(format($x$UPDATE revdesk.api_keys SET scope = %L WHERE name = 'key a0'$x$, word)) AS scope,
       app.try(format($x$UPDATE revdesk.api_keys SET access = %L WHERE name = 'key a0'$x$, word)) AS access,
       app.try(format($x$UPDATE revdesk.api_keys SET environment = %L WHERE name = 'key a0'$x$, word)) AS environment
FROM unnest(ARRAY['', 'User', 'users', 'use', 'organisation', 'sub-entity', 'ADMIN', 'admin ', 'none', 'prod']) AS word;
SELECT word,
       app.try(format($x$SELECT revdesk_create_key('x', %L, 'aaaaaaaa-0000-0000-0000-000000000000')$x$, word)) AS scope,
       app.try(format($x$SELECT revdesk_create_key('x', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000', access => %L)$x$, word)) AS access,
       app.try(format($x$SELECT revdesk_create_key('x', 'organization', 'aaaaaaaa-0000-0000-0000-000000000000', environment => %L)$x$, word)) AS environment
FROM unnest(ARRAY[NULL, '', 'User', 'users', 'sub-entity', 'ADMIN', 'prod']) AS word;

-- A row that says something else all the same authenticates nobody.
ALTER TABLE revdesk.api_keys DROP CONSTRAINT api_keys_access_check;
UPDATE revdesk.api_keys SET access = 'owner' WHERE name = 'key a0';
SELECT app.try(format('SELECT revdesk_authenticate(%L)', app.token('a0'))) <> 'ok' AS refused;
SELECT * FROM revdesk_context();
UPDATE revdesk.api_keys SET access = 'write' WHERE name = 'key a0';
ALTER TABLE revdesk.api_keys ADD CONSTRAINT api_keys_access_check CHECK (access IN ('read', 'write', 'admin'));
