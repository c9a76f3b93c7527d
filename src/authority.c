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
 * somebody else (index expressions during REINDEX, say): the role found there
 * would be that of the victim.
 */
Datum
revdesk_calling_role(PG_FUNCTION_ARGS)
{
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot manage revdesk_auth within security-restricted operation")));
	PG_RETURN_OID(GetOuterUserId());
}
