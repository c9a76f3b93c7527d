/*
 * authority.c
 *		Who called a SECURITY DEFINER function.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(revdesk_calling_role);

/*
 * SQL: revdesk.calling_role() returns oid: the role of the session, or the one
 * that SET ROLE made current, seen through SECURITY DEFINER functions.
 *
 * Refuses (42501) where PostgreSQL runs code of a table's owner on behalf of
 * somebody else: the role found there would be that of the victim.  It does so
 * in security-restricted operations (index expressions during REINDEX, say) and
 * in the actions of foreign keys, whose triggers may be of anybody.
 */
Datum
revdesk_calling_role(PG_FUNCTION_ARGS)
{
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot manage revdesk_auth within security-restricted operation")));
	if (InNoForceRLSOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot manage revdesk_auth within the action of a foreign key")));
	PG_RETURN_OID(GetOuterUserId());
}
