# Prints each scalar of a JSON text as "path=value": {"a": {"b": ["x"]}} gives "a.b.0=x".
# Reads the whole text as one record; escapes other than the common ones stay as they are.
BEGIN { RS = "\001" }
{
	depth = 0
	text = $0
	while (match(text, /"([^"\\]|\\.)*"|[][{},:]|[^][{},:" \t\r\n]+/)) {
		token = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		if (token == "{" || token == "[") {
			kind[++depth] = token
			part[depth] = (token == "[") ? 0 : ""
		} else if (token == "}" || token == "]")
			depth--
		else if (token == ",") {
			if (kind[depth] == "[") part[depth]++
			else part[depth] = ""
		} else if (token != ":") {
			if (token ~ /^"/) token = unquoted(token)
			if (kind[depth] == "{" && part[depth] == "") part[depth] = token
			else print path() "=" token
		}
	}
}
function path(   i, all) {
	for (i = 1; i <= depth; i++) all = all (i > 1 ? "." : "") part[i]
	return all
}
function unquoted(token) {
	token = substr(token, 2, length(token) - 2)
	gsub(/\\n/, " ", token)
	gsub(/\\\//, "/", token)
	gsub(/\\"/, "\"", token)
	return token
}
