/** Rows of a Tigase database as a test wants them, by table and column. */
export type Tables = Readonly<
  Record<
    string,
    { readonly columns: readonly string[]; readonly rows: readonly (readonly (string | number | null)[])[] }
  >
>

/** Types are those of the columns' names; what is not read is as good as any. */
const numeric = (column: string): boolean =>
  /^(uid|nid|parent_nid|id|online_status|failed_logins|account_status|enabled)$/.test(column)

/** As mysqldump writes it: extended inserts without names of columns, escapes, conditional comments, a trigger. */
export function mysqlDump(tables: Tables): string {
  const escaped = (text: string): string =>
    text.replaceAll(
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is escaped
      /[\0\b\n\r\x1a"'\\]/g,
      (c) => `\\${{ '\0': '0', '\b': 'b', '\n': 'n', '\r': 'r', '\x1a': 'Z' }[c] ?? c}`,
    )
  const value = (v: string | number | null): string =>
    v === null ? 'NULL' : typeof v === 'number' ? String(v) : `'${escaped(v)}'`
  const of = ([name, { columns, rows }]: [string, Tables[string]]): string => `
--
-- Table structure for table \`${name}\`
--

DROP TABLE IF EXISTS \`${name}\`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE \`${name}\` (
${columns.map((c) => `  \`${c}\` ${numeric(c) ? 'bigint(20) unsigned' : "varchar(255) DEFAULT 'a,(b' COMMENT 'it''s; a \\\\ comment'"},`).join('\n')}
  PRIMARY KEY (\`${columns[0]}\`),
  UNIQUE KEY \`k\` (\`${columns[0]}\`,\`${columns.at(-1)}\`)
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='x; INSERT INTO \`${name}\` VALUES (1);';
LOCK TABLES \`${name}\` WRITE;
/*!40000 ALTER TABLE \`${name}\` DISABLE KEYS */;
${rows.length === 0 ? '' : `INSERT INTO \`${name}\` VALUES ${rows.map((row) => `(${row.map(value).join(',')})`).join(',')};`}
/*!40000 ALTER TABLE \`${name}\` ENABLE KEYS */;
UNLOCK TABLES;
`
  return `-- MySQL dump 10.13  Distrib 5.7.33, for Linux (x86_64)
/*!40101 SET NAMES utf8mb4 */;
${Object.entries(tables).sort().map(of).join('')}
DELIMITER ;;
CREATE PROCEDURE \`TigInitdb\`() begin update tig_users set online_status = 0; insert into tig_users values ('oops'); end ;;
DELIMITER ;
-- Dump completed on 2026-11-25 20:00:00
`
}

/** As pg_dump writes it: COPY in the one form, INSERT in the other, functions with bodies in dollars. */
export function postgresDump(tables: Tables, form: 'copy' | 'insert' = 'copy'): string {
  const copied = (v: string | number | null): string =>
    v === null
      ? '\\N'
      : String(v).replaceAll(
          /[\\\b\f\n\r\t\v]/g,
          (c) => `\\${{ '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't', '\v': 'v' }[c] ?? c}`,
        )
  const value = (v: string | number | null): string =>
    v === null ? 'NULL' : typeof v === 'number' ? String(v) : `'${v.replaceAll("'", "''")}'`
  const of = ([name, { columns, rows }]: [string, Tables[string]]): string => `
--
-- Name: ${name}; Type: TABLE; Schema: public; Owner: tigase
--

CREATE TABLE public.${name} (
${columns.map((c) => `    ${c === 'timestamp' ? '"timestamp"' : c} ${numeric(c) ? 'bigint NOT NULL' : "character varying(2049) DEFAULT 'a,(b'::character varying"}`).join(',\n')}
);
ALTER TABLE public.${name} OWNER TO tigase;
${
  form === 'copy'
    ? `COPY public.${name} (${columns.map((c) => (c === 'timestamp' ? '"timestamp"' : c)).join(', ')}) FROM stdin;
${rows.map((row) => `${row.map(copied).join('\t')}\n`).join('')}\\.
`
    : rows.map((row) => `INSERT INTO public.${name} VALUES (${row.map(value).join(', ')});\n`).join('')
}`
  return `--
-- PostgreSQL database dump
--

\\restrict aBcDeF
SET standard_conforming_strings = on;
CREATE FUNCTION public.tigadduser(_user_id character varying) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
begin
  -- it's no statement: insert into tig_users values ('oops');
  insert into tig_users (user_id) values ($1); return 'a'';b';
end;
$_$;
${Object.entries(tables).sort().map(of).join('')}
SELECT pg_catalog.setval('public.tig_users_uid_seq', 7, true);
\\unrestrict aBcDeF
`
}
