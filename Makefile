# revdesk_auth: API-key authentication and tenant isolation for PostgreSQL

EXTENSION = revdesk_auth
MODULE_big = revdesk_auth

# The layers, lowest first: a file may include headers of its own layer's
# earlier files and of the layers above it in this list, never of later ones.
# test/lint/layers holds the tree to that.
OBJS = \
	src/terms.o src/token.o src/secret.o src/mask.o src/statement.o \
	src/rate_limit.o \
	src/guc.o src/shmem.o src/relations.o src/json_pick.o src/record_file.o src/http.o \
	src/context.o src/key_hints.o src/key_lookup.o src/tenancy.o src/brake.o src/usage_table.o src/usage.o src/replay_lag.o src/pool_guard.o src/context_age.o \
	src/errors.o src/authenticate.o src/accessors.o src/scope.o src/rehearse.o src/umbrella.o src/authority.o \
	src/ddl_command.o src/settings.o src/predicate.o \
	src/request.o src/error_rewrite.o src/read_only.o src/log_mask.o src/log_limit.o src/hooks.o \
	src/usage_report.o src/usage_worker.o src/write_count.o \
	src/scope_sets.o src/scope_support.o src/scope_pruning.o \
	src/revdesk_auth.o

# The install script is its parts, in this order.  Those of NEW_SQL_PARTS have
# come since the last release, and are in the upgrade script as well.
NEW_SQL_PARTS = \
	src/sql/scope_sets.sql \
	src/sql/isolation.sql \
	src/sql/guard.sql \
	src/sql/lint_tables.sql \
	src/sql/lint_access.sql \
	src/sql/lint_roles.sql \
	src/sql/lint_server.sql \
	src/sql/lint.sql \
	src/sql/rehearse.sql \
	src/sql/selftest.sql \
	src/sql/explain.sql
SQL_PARTS = \
	src/sql/tables.sql \
	src/sql/integrity.sql \
	src/sql/authenticate.sql \
	src/sql/scope.sql \
	src/sql/authority.sql \
	src/sql/audit.sql \
	src/sql/usage.sql \
	src/sql/tenants.sql \
	src/sql/keys.sql \
	src/sql/protect.sql \
	src/sql/expose.sql \
	$(NEW_SQL_PARTS) \
	src/sql/revoke.sql \
	src/sql/privileges.sql \
	src/sql/privileges_1_1.sql
UPGRADE_PARTS = $(NEW_SQL_PARTS) src/sql/revoke.sql src/sql/privileges_1_1.sql

# The control file is the only place of the version.  What was released is kept
# as it was, and can be upgraded.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" revdesk_auth.control)
RELEASED = 1.0
DATA = $(wildcard src/sql/released/*.sql)
DATA_built = revdesk_auth--$(EXTVERSION).sql revdesk_auth--$(RELEASED)--$(EXTVERSION).sql

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=pgcrypto --load-extension=revdesk_auth
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=pgcrypto --load-extension=revdesk_auth
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = $(RDA_CFLAGS)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

revdesk_auth--$(EXTVERSION).sql: $(SQL_PARTS)
	cat $^ > $@

revdesk_auth--$(RELEASED)--$(EXTVERSION).sql: src/sql/upgrade/expand.awk src/sql/upgrade/$(RELEASED)--$(EXTVERSION).sql $(SQL_PARTS)
	awk -f src/sql/upgrade/expand.awk -v parts='$(SQL_PARTS)' src/sql/upgrade/$(RELEASED)--$(EXTVERSION).sql $(UPGRADE_PARTS) > $@ || { rm -f $@; false; }

$(OBJS): $(wildcard $(srcdir)/src/*.h)
