/*
 * scope_sets.h
 *		The planner's side of the scopes that are sets of tenants.
 */
#ifndef RDA_SCOPE_SETS_H
#define RDA_SCOPE_SETS_H

#include "nodes/primnodes.h"

#include "terms.h"

extern Oid	rda_scope_function(Oid schema, const char *name, int nargs);
extern bool rda_scope_is_set_member_test(Oid function);
extern Node *rda_scope_equals_any(Node *column, Expr *array);
extern Node *rda_scope_set_condition(Oid schema, RdaScope scope, Node *column);

#endif							/* RDA_SCOPE_SETS_H */
