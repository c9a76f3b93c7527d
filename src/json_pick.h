/*
 * json_pick.h
 *		Pick members of a JSON object by name.
 */
#ifndef RDA_JSON_PICK_H
#define RDA_JSON_PICK_H

typedef struct RdaJsonMember
{
	const char *name;			/* to look for; set by the caller */
	bool		present;
	const char *text;			/* of a string or number; NULL for any other
								 * kind of value, null too */
} RdaJsonMember;

extern bool rda_json_pick(const char *json, RdaJsonMember *members, int count);

#endif							/* RDA_JSON_PICK_H */
