# Copies an upgrade script, with each line "-- replace FUNCTION" replaced by the
# function as the parts of the install script have it, with its comment.
#
#   awk -f expand.awk -v parts='FILE ...' SCRIPT ...

function replacement(name,    files, n, i, line, text, inside, last) {
  n = split(parts, files, " ")
  for (i = 1; i <= n; i++) {
    while ((getline line < files[i]) > 0) {
      if (index(line, "CREATE FUNCTION " name "(") == 1) {
        inside = 1
        sub(/^CREATE FUNCTION/, "CREATE OR REPLACE FUNCTION", line)
      }
      if (!inside)
        continue
      text = text line "\n"
      if (index(line, "COMMENT ON FUNCTION " name "(") == 1)
        last = 1
      if (last && line ~ /;$/)
        inside = last = 0
    }
    close(files[i])
  }
  if (text == "") {
    print "expand.awk: no function " name > "/dev/stderr"
    exit 1
  }
  return text
}

/^-- replace / {
  printf "%s", replacement($3)
  next
}
{ print }
