/*
 * settings.c
 *		The administrator's settings, for SQL functions that decide by them.
 *
 * current_setting() would believe whatever a caller has SET under the name
 * before the library was loaded.  Asking here loads it first, and then such a
 * value is gone.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(revdesk_setting);
PG_FUNCTION_INFO_V1(revdesk_setting_list);

static const char *
setting(text *name)
{
	return GetConfigOption(psprintf("revdesk.%s", text_to_cstring(name)),
						   false, false);
}

/*
 * SQL: revdesk.setting(name text) returns text: the value of revdesk.<name>.
 */
Datum
revdesk_setting(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(setting(PG_GETARG_TEXT_PP(0))));
}

/*
 * SQL: revdesk.setting_list(name text) returns name[]: the identifiers that
 * revdesk.<name>, a comma-separated list, holds.
 */
Datum
revdesk_setting_list(PG_FUNCTION_ARGS)
{
	List	   *elements;
	ListCell   *cell;
	Datum	   *names;
	int			count = 0;

	if (!SplitIdentifierString(pstrdup(setting(PG_GETARG_TEXT_PP(0))), ',', &elements))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid list syntax in setting \"revdesk.%s\"",
						text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	names = palloc(sizeof(Datum) * (list_length(elements) + 1));
	foreach(cell, elements)
		names[count++] = DirectFunctionCall1(namein, CStringGetDatum(lfirst(cell)));
	PG_RETURN_ARRAYTYPE_P(construct_array(names, count, NAMEOID, NAMEDATALEN,
										  false, TYPALIGN_CHAR));
}
