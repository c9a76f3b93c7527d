/*
 * json_pick.c
 *		Pick members of a JSON object by name, with core's JSON parser.
 *
 * Not by a cast to json, since its error would quote the text, which may hold
 * a key.
 */
#include "postgres.h"

#include "json_pick.h"
#include "pg_compat.h"

typedef struct Picking
{
	JsonLexContext *lex;
	RdaJsonMember *members;
	int			count;
	RdaJsonMember *here;		/* whose value comes next, if any */
} Picking;

static RdaJsonResult
begin_member(void *state, char *name, bool isnull)
{
	Picking    *picking = state;

	if (picking->lex->lex_level == 1)
	{
		picking->here = NULL;
		for (int i = 0; i < picking->count; i++)
		{
			if (strcmp(picking->members[i].name, name) == 0)
				picking->here = &picking->members[i];
		}
		if (picking->here != NULL)
		{
			picking->here->present = true;
			picking->here->text = NULL;
		}
	}
	RDA_JSON_CONTINUE;
}

static RdaJsonResult
take_scalar(void *state, char *token, JsonTokenType type)
{
	Picking    *picking = state;

	if (picking->lex->lex_level == 1 && picking->here != NULL &&
		(type == JSON_TOKEN_STRING || type == JSON_TOKEN_NUMBER))
		picking->here->text = token;
	RDA_JSON_CONTINUE;
}

/*
 * Look for members of a JSON object by name; of several with the same name the
 * last counts.
 *
 * json: NUL-terminated.  Fills in members, count of them; texts are palloc'd.
 * Returns false if json is not an object.  Never raises for a bad text, only
 * for one that is nested beyond max_stack_depth.
 */
bool
rda_json_pick(const char *json, RdaJsonMember *members, int count)
{
	Picking		picking = {.members = members,.count = count};
	bool		parsed;
	JsonSemAction actions = {
		.semstate = &picking,
		.object_field_start = begin_member,
		.scalar = take_scalar
	};

	for (int i = 0; i < count; i++)
	{
		members[i].present = false;
		members[i].text = NULL;
	}
	if (json[strspn(json, " \t\r\n")] != '{')
		return false;
	picking.lex = rda_json_lexer(json);
	parsed = pg_parse_json(picking.lex, &actions) == JSON_SUCCESS;
	/* It holds the last strings, which may be secret. */
	explicit_bzero(picking.lex->strval->data, picking.lex->strval->maxlen);
	return parsed;
}
