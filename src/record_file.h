/*
 * record_file.h
 *		A file that carries records over a clean restart of the server.
 */
#ifndef RDA_RECORD_FILE_H
#define RDA_RECORD_FILE_H

/* What the file is, and of what. */
typedef struct RdaRecordFile
{
	const char *path;			/* in the data directory */
	const char *temporary;		/* where it is written first */
	uint32		magic;			/* changes with the layout of a record */
	Size		size;			/* of a record */
} RdaRecordFile;

typedef bool (*RdaRecordSource) (void *record, void *state);
typedef void (*RdaRecordSink) (const void *record);

extern void rda_record_file_write(const RdaRecordFile *file,
								  RdaRecordSource next, void *state);
extern void rda_record_file_read(const RdaRecordFile *file, RdaRecordSink take);

#endif							/* RDA_RECORD_FILE_H */
