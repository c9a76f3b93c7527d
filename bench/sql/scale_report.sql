-- The tables of bench/scale.

CREATE VIEW bench.medians AS
SELECT what, caller, query, form, percentile_cont(0.5) WITHIN GROUP (ORDER BY us) AS us FROM bench.samples GROUP BY what, caller, query, form;
CREATE VIEW bench.costs AS
SELECT m.what, m.caller, m.query, m.form, m.us - COALESCE(empty.us, 0) AS us
FROM bench.medians AS m LEFT JOIN bench.medians AS empty
     ON empty.what = m.what AND empty.caller = m.caller AND empty.query = m.query AND empty.form = 'empty'
WHERE m.form <> 'empty';
CREATE FUNCTION bench.show(us float) RETURNS text LANGUAGE sql IMMUTABLE RETURN round(us::numeric, CASE WHEN us < 100 THEN 1 ELSE 0 END)::text;
CREATE FUNCTION bench.ratio(a float, b float) RETURNS text LANGUAGE sql IMMUTABLE RETURN round((a / nullif(b, 0))::numeric, 2)::text;
-- A line of a table, the columns that are null as "-".
CREATE FUNCTION bench.line(VARIADIC columns text[]) RETURNS text LANGUAGE sql IMMUTABLE
RETURN '| ' || array_to_string(columns, ' | ', '-') || ' |';
CREATE VIEW bench.pivot AS
SELECT what, caller, query, min(us) FILTER (WHERE form = 'revdesk') AS revdesk, min(us) FILTER (WHERE form = 'revdesk_u') AS revdesk_u,
       min(us) FILTER (WHERE form IN ('array', 'by hand')) AS "array", min(us) FILTER (WHERE form = 'join') AS "join",
       min(us) FILTER (WHERE form = 'umbrella') AS umbrella
FROM bench.costs GROUP BY what, caller, query;
CREATE VIEW bench.callers AS
SELECT * FROM unnest(ARRAY['half.1', 'o1', 'o50', 'o1000', 'o10000', 'u1', 'u50', 'u5000']) WITH ORDINALITY AS callers (caller, place);

\echo '## Queries, µs'
\echo
\echo '| caller | query | revdesk_auth | = ANY (array) | IN (SELECT) | ÷ array | ÷ IN (SELECT) | with umbrella column | umbrella by hand | ÷ by hand |'
\echo '|---|---|--:|--:|--:|--:|--:|--:|--:|--:|'
SELECT bench.line(caller, query, bench.show(revdesk), bench.show("array"), bench.show("join"), bench.ratio(revdesk, "array"), bench.ratio(revdesk, "join"),
                  bench.show(revdesk_u), bench.show(umbrella), bench.ratio(revdesk_u, umbrella))
FROM bench.pivot JOIN bench.callers USING (caller) JOIN bench.queries ON name = query WHERE what = 'query' ORDER BY place, n;

\echo
\echo '## Planning, µs'
\echo
\echo '| caller | query | revdesk_auth | = ANY (array) | IN (SELECT) | ÷ array | with umbrella column | umbrella by hand |'
\echo '|---|---|--:|--:|--:|--:|--:|--:|'
SELECT bench.line(caller, query, bench.show(revdesk), bench.show("array"), bench.show("join"), bench.ratio(revdesk, "array"), bench.show(revdesk_u), bench.show(umbrella))
FROM bench.pivot JOIN bench.callers USING (caller) JOIN bench.queries ON name = query WHERE what = 'planning' ORDER BY place, n;

\echo
\echo '## 100 partitions, µs'
\echo
\echo '| partitions by | caller | query | revdesk_auth | by hand, planned for the caller | ÷ by hand |'
\echo '|---|---|---|--:|--:|--:|'
SELECT bench.line(what, caller, query, bench.show(revdesk), bench.show("array"), bench.ratio(revdesk, "array"))
FROM bench.pivot JOIN bench.callers USING (caller) WHERE what IN ('hash', 'time') ORDER BY what, place, query;

\echo
\echo '## Estimates'
\echo
\echo '| caller | table | rows expected | rows | ÷ |'
\echo '|---|---|--:|--:|--:|'
SELECT bench.line(caller, relation, expected::text, real::text, bench.ratio(expected, real))
FROM bench.estimates JOIN bench.callers USING (caller) ORDER BY place, relation;
\echo
