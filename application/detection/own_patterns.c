#include "application/detection/own_patterns.h"

#include "application/detection/prose.h"
#include "application/detection/regex_cache.h"
#include "application/detection/transformations.h"

enum pattern_flag {
    IN_VALUES = 1 << 0,
    IN_NAMES = 1 << 1,
    IN_BODY = 1 << 2, /* the XML body as a whole */
    IN_PATH = 1 << 3, /* the path, undone once */
    NOT_IN_PROSE = 1 << 4,
};

struct own_pattern {
    uint32_t rule;
    enum inspection_protection protection;
    uint8_t score;
    unsigned flags;
    const char *needs; /* one of these bytes is in every match; NULL: any */
    const char *expression;
    const char *message;
};

#define IN_FOLDER "(?:/?(?:usr/)?(?:local/)?s?bin/)?"
#define COMMANDS                                                                                  \
    "(?:id|ls|dir|pwd|whoami|uname|hostname|ifconfig|ipconfig|netstat|ps|env|set|ver|systeminfo|" \
    "nslookup|ping|sleep|timeout|wget|curl|nc|ncat|netcat|cat|type|bash|sh|zsh|cmd|powershell|"   \
    "python[23]?|perl|php|ruby|node|echo|printf|touch|tftp|net|reg)"
/* Of a shell: what ends the command before it, what begins one, blanks and what stands for them. A
 * backtick behind a blank begins code in Markdown. */
#define BEGIN "(?:[;|&]|\\$\\(|[\\w'\"=/.]`)\\s*"
#define BLANK "(?:\\s|\\$\\{?IFS\\}?|\\\\t)++"
/* Of SQL: what ends the value that stands before it, blanks and comments, one at least, and what
 * cuts off the rest of a query. */
#define CLOSED "['\"`)\\d%]"
#define GAP    "(?:[\\s+]|/\\*.{0,40}?\\*/)*+"
#define GAP1   "(?:[\\s+]|/\\*.{0,40}?\\*/)++"
#define REST   "(?:--|#|/\\*)"

/* Without (?i) nothing is caseless; values are seen as the application gets them, and with their
 * percent signs undone once more. */
static const struct own_pattern patterns[] = {
    {RULE_XML_ENTITY, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES | IN_BODY, "!",
     "(?i)<!ENTITY\\s|<!DOCTYPE\\s+(?!html\\b)[^>\\[]*(?:\\[|\\bSYSTEM\\b|\\bPUBLIC\\b)",
     "XML external entity"},
    {RULE_XML_INCLUDE, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES | IN_BODY, ":+",
     "(?i)<[a-z]+:include\\s[^>]*href|www\\.w3\\.org/2001/XInclude|\\+ADw-!(?:DOCTYPE|ENTITY)",
     "XML inclusion"},
    {RULE_NOSQL, PROTECTION_SQL_INJECTION, 5, IN_NAMES, "$",
     "(?:^|[.\\[\\]])\\$(?:where|ne|gte?|lte?|n?in|regex|exists|expr|function|accumulator|not|nor|"
     "elemMatch|jsonSchema)(?:$|[.\\[\\]])",
     "NoSQL operator"},
    {RULE_NOSQL, PROTECTION_SQL_INJECTION, 5, IN_VALUES, "$({'\"",
     "(?i)[{\\[,]\\s*[\"']?\\$(?:where|ne|gte?|lte?|n?in|regex|exists|expr|function)[\"']?\\s*:"
     "|(?:'|\"|\\d)\\s*(?:\\|\\||&&)\\s*(?:this\\.|['\"]\\w*['\"]\\s*==|1\\s*==\\s*1)"
     "|;\\s*return\\s+(?:true|1\\s*==\\s*1)\\b|\\bdb\\.[\\w.]+\\.(?:find|insert|drop|remove|update)\\("
     "|\\bthis\\.(?:password|passwd|constructor)\\b",
     "NoSQL injection"},
    {RULE_PROTOTYPE, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES | IN_NAMES | NOT_IN_PROSE, "_[.",
     "(?:^|[.\\[\\]\"'])__(?:proto__|(?:define|lookup)(?:Getter|Setter)__)(?:$|[.\\[\\]\"'=])"
     "|(?:^|[.\\[\\]\"'])constructor[\"']?(?:\\.|\\]?\\[|\\s*:\\s*\\{)\\s*[\"']?prototype(?:$|[.\\[\\]\"'=])",
     "Prototype pollution"},
    {RULE_SERIALISED, PROTECTION_REMOTE_COMMAND_EXECUTION, 5, IN_VALUES, "A:!_.(5\n@$",
     "^(?:rO0AB[A-Za-z0-9+/]{6}|AAEAAAD/{5}AQ)|^\\s*(?i:aced0005)[0-9a-fA-F]{4}"
     "|(?:^|[;{])[OC]:\\+?\\d+:\"[\\w\\\\]+\":\\d+:\\{|_\\$\\$ND_FUNC\\$\\$_"
     "|!!(?:python/(?:object|name|module)|javax?\\.|com\\.|org\\.)|!ruby/(?:object|hash|struct)"
     "|^c(?:os|posix|nt|subprocess|builtins|__builtin__)\\n(?:system|popen|Popen|call|check_output|eval|exec)\\n"
     "|^(?:java\\.(?:lang|net|util|rmi)|javax\\.|com\\.sun\\.|sun\\.|org\\.(?:apache|springframework|hibernate)|"
     "com\\.(?:mchange|zaxxer|mysql|alibaba))\\.?[\\w.$]*\\.[A-Z]\\w+$"
     "|^System\\.(?:Windows|Diagnostics|Configuration|Web|Management|Security|Workflow|Activities|Data)\\.[\\w.]+"
     "(?:,\\s*[\\w.]+.*)?$"
     "|[\"'][$@]type[\"']\\s*:\\s*[\"'](?:java\\.(?:lang|net|util|rmi)\\.|javax\\.|com\\.sun\\.|sun\\.|org\\.(?:apache|spring)"
     "|System\\.(?:Windows|Diagnostics|Configuration|Web|Management|Security|Workflow|Activities|Data)\\.)",
     "Object that is made when it is read"},
    {RULE_LDAP, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES, "(",
     "(?i)[*)]\\s*\\(\\s*[|&!]\\s*(?:\\(|$)|\\*\\)\\s*\\(+\\s*[|&!]"
     "|\\)\\s*\\(\\s*[|&!]?\\s*\\(?[a-z][\\w;-]*\\s*[~<>]?=[^)]*(?:\\)|\\*)|^\\*\\)+\\(|\\*\\(\\)\\|"
     "|\\(\\s*[&|]\\s*\\(\\s*(?:objectclass|uid|cn|mail|userpassword)\\s*=",
     "LDAP injection"},
    {RULE_TEMPLATE, PROTECTION_REMOTE_COMMAND_EXECUTION, 5, IN_VALUES | IN_PATH, "{<",
     "(?i)(?:\\{\\{|\\$\\{|#\\{|\\*\\{|@\\{|<%=?|\\{%)[^}%]{0,200}(?:['\"]?\\d+['\"]?\\s*[*+/-]\\s*['\"]?\\d+"
     "|__\\w+__|\\.constructor\\b|\\bgetClass\\b|\\.class\\b|\\bT\\s*\\(\\s*java|Runtime\\b|\\bpopen\\b|"
     "\\bsystem\\s*\\(|\\beval\\s*\\(|\\bexec\\s*\\(|\\brequire\\s*\\(|\\bprocess\\.|\\|\\s*attr\\b|"
     "\\b(?:lipsum|cycler|joiner)\\b|freemarker|(?:\\b|_)self\\.|\\bconfig\\.items\\b|File\\.open|`)",
     "Template injection"},
    {RULE_TEMPLATE, PROTECTION_REMOTE_COMMAND_EXECUTION, 5, IN_VALUES | IN_PATH, "_<#{%",
     "(?i)__(?:class|mro|subclasses|globals|builtins|import|base|bases|init)__"
     "|<#assign\\b|freemarker\\.template|\\{\\{\\s*(?:config|self|request)\\s*\\}\\}|\\{php\\}"
     "|%\\{\\s*(?:\\(|#|@)|#(?:set|context)\\s*\\(?\\$",
     "Template injection"},
    {RULE_SERVER_INCLUDE, PROTECTION_REMOTE_COMMAND_EXECUTION, 5, IN_VALUES | IN_PATH, "#",
     "(?i)<!--\\s*#\\s*(?:exec|include|echo|config|printenv|set|fsize|flastmod)\\b"
     "|<esi:(?:include|inline|vars)\\b",
     "Server-side include"},
    {RULE_MAIL, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES | NOT_IN_PROSE, "\r\n%",
     "(?i)(?:\\r\\n|\\n|%0d%0a|%0a)[ \\t]*(?:(?:b?cc|reply-to|mime-version|x-mailer)\\s*:\\s*\\S"
     "|(?:rcpt\\s+to|mail\\s+from)\\s*:\\s*<?\\S"
     "|[a-z0-9]{1,6}\\s+(?:capability|fetch\\s+\\d|logout|select\\s+\"?inbox|login\\s+\\S+\\s+\\S))",
     "Mail header or command"},
    {RULE_INTERNAL_ADDRESS, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES, "/:",
     "(?i)(?://|@)(?:169\\.254\\.(?:169\\.254|170\\.2)|0xa9fea9fe|2852039166|\\[?(?:::ffff:a9fe:a9fe|"
     "fd00:ec2::254)\\]?|metadata\\.google\\.internal|100\\.100\\.100\\.200)"
     "|^\\s*(?:gopher|dict|ldaps?|tftp|jar|netdoc|expect|phar|glob|sftp)://?\\S",
     "Request to an internal address"},
    /* The same where something listens that is for nobody else: administration, databases, other
     * protocols, Lambda's own interfaces. Applications of developers redirect to 3000 and 8080. */
    {RULE_INTERNAL_ADDRESS, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES, "/",
     "(?i)^\\s*(?:https?|ftp|tcp|redis|mysql)://(?:[^/@\\s]*@)?(?:127\\.\\d+\\.\\d+\\.\\d+|localhost|0\\.0\\.0\\.0|"
     "\\[(?:::|0:)[0-9a-f:.]*\\]|0x7f[0-9a-f.]+|0177[0-7.]+|2130706433)"
     "(?::(?:2[0-9]|110|143|389|445|2375|2379|3306|5432|6379|9001|9200|11211|27017)(?:\\D|$)"
     "|(?::\\d+)?/(?:admin|internal|private|manage|actuator|server-status|metrics|debug|console|latest/|"
     "\\d{4}-\\d\\d-\\d\\d/))",
     "Request to an internal address"},
    {RULE_INTERNAL_ADDRESS, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES, "/",
     "(?i)^\\s*https?://(?:0x[0-9a-f]{8}|[0-9]{8,10}|0[0-7]+\\.[0-7.]+|\\[(?:::|0:)[0-9a-f:.]*\\]|\\d+\\.\\d+)(?:[:/?#]|$)",
     "Request to an address written to be overlooked"},
    {RULE_LOOPBACK, PROTECTION_MALICIOUS_PAYLOAD, 3, IN_VALUES, "/",
     "(?i)^\\s*https?://(?:127\\.\\d+\\.\\d+\\.\\d+|localhost|0\\.0\\.0\\.0|\\[::1?\\]|0x7f[0-9a-f]+|"
     "2130706433|017700000001)(?:[:/?#]|$)",
     "Request to the function's own host"},
    {RULE_LOCAL_FILE, PROTECTION_ILLEGAL_FILE_ACCESS, 5, IN_VALUES, ":",
     "(?i)^\\s*(?:url:)?(?:file|view-source):[/\\\\.]|^\\s*php://|\\bfile:///(?:etc|proc|var|c:)",
     "Address of a local file"},
    {RULE_LOCAL_FILE, PROTECTION_ILLEGAL_FILE_ACCESS, 5, IN_VALUES | IN_PATH, "/\\.",
     "(?:[/\\\\]\\.{2,}){2,}|(?:\\.{2,}[/\\\\]+){2,}|(?:%2e|\\.){2,}(?:%2f|%5c|%c0%af|%252f)"
     "|(?i)(?:0x2e){2}|\\.\\.(?:%c0%af|%c1%9c|0x2f|%u2215|%u2216)"
     "|\\.{2,}[/\\\\]+\\S{0,60}(?:etc|passwd|boot\\.ini|win\\.ini|web-inf|\\.env|config|proc/self)"
     "|^(?:\\./){3,}",
     "Path traversal"},
    {RULE_LOCAL_FILE, PROTECTION_ILLEGAL_FILE_ACCESS, 5, IN_VALUES | IN_PATH, "/\\",
     "(?i)(?:^|[=/\\\\])(?:etc/(?:passwd|shadow|hosts|group)|proc/self/(?:environ|cmdline|maps|fd)|"
     "windows[/\\\\](?:win\\.ini|system32[/\\\\])|boot\\.ini|web-inf[/\\\\]web\\.xml|\\.aws/credentials|"
     "\\.ssh/(?:id_|authorized)|\\.git/(?:config|head)|var/task/|var/runtime/)",
     "Access to a file of the system"},
    {RULE_COMMAND, PROTECTION_REMOTE_COMMAND_EXECUTION, 5, IN_VALUES | NOT_IN_PROSE, ";|&`$/-(.?*",
     "(?i)(?:[;|&`]|\\$\\()\\s*" IN_FOLDER COMMANDS "(?:\\.exe)?"
     "(?:\\s*(?:[;|&`#)>]|$|%0a)|\\s+(?:-|/|\\\\|\"|'|\\$|\\d|https?:)|\\$\\{?IFS)"
     "|^\\s*(?:cmd(?:\\.exe)?\\s+/[ck]\\b|powershell(?:\\.exe)?\\s+-[a-z])"
     "|(?:[;|&`]|\\$\\()\\s*(?:/[\\w?*\\[\\]]*){1,3}[?*][\\w?*\\[\\]]*\\s+[/\\w.~-]"
     "|\\brequire\\s*\\(\\s*['\"`](?:node:)?child_process|\\bprocess\\.(?:binding|mainModule)\\b"
     "|\\$\\{?IFS\\}?[^a-z0-9]|\\$\\([a-z/]+[^)]*\\)\\s*$|`[a-z/][^`]{0,80}`\\s*$",
     "Command of a shell"},
    /* Whatever stands around it: what a command writes goes to a shell, it is given an address, an
     * option or a file of the system, or no sentence has its name. */
    {RULE_COMMAND, PROTECTION_REMOTE_COMMAND_EXECUTION, 5, IN_VALUES, ";|&`(\r\n",
     "(?i)(?:[;|&`\\r\\n]|\\$\\()\\s*" IN_FOLDER COMMANDS "\\b[^\\r\\n;&|`]{0,200}\\|\\s*" IN_FOLDER
     "(?:(?:ba|z|da|k)?sh|python[23]?|perl|php|ruby|node)\\b"
     "|(?:[;&]|\\$\\()\\s*[\\w./\\\\'\"${}-]{2,40}\\s[^\\r\\n;&|`]{1,200}\\|\\s*" IN_FOLDER
     "(?:ba|z|da|k)?sh(?:\\s*[;&)`#<]|\\s+-|\\s*$)"
     "|" BEGIN IN_FOLDER "dd" BLANK "[io]f=|" BEGIN
     "(?:echo|printf|cat)\\b[^\\r\\n;&|`>]{0,200}>\\s*~?/(?:etc|tmp|"
     "var|home|proc|root|usr|bin|dev|opt|mnt)\\b"
     "|" BEGIN IN_FOLDER "(?:curl|wget|nc|ncat|netcat|ping|nslookup|dig|tftp|telnet|ssh|scp)" BLANK
     "(?:-[^\\s$]{1,64}+" BLANK "(?:\\d+" BLANK
     ")?){0,5}(?:[a-z]{3,6}://|[\\w-]{1,63}(?:\\.[\\w-]{1,63}){1,8}[/\\s:;|&)`]"
     "|[\\w-]{1,63}(?:\\.[\\w-]{1,63}){1,8}$)"
     "|" BEGIN IN_FOLDER "(?:whoami|uname|ifconfig|ipconfig|systeminfo|netstat)\\b"
     "|" BEGIN IN_FOLDER
     "(?:rm|chmod|chown|tee|head|tail|less|more|find|grep|tar|base64|nohup|sudo|" COMMANDS
     ")(?:\\.exe)?(?:" BLANK "|\\s*<\\s*)"
     "(?:--?[a-z]|/c\\b|~?/(?:etc|tmp|var|home|proc|root|usr|bin|dev|opt|mnt)\\b|\\.\\./)",
     "Command of a shell"},
    {RULE_INJECTED_SCRIPT, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES | IN_PATH | NOT_IN_PROSE,
     "(`",
     "(?i)\\b(?:alert|confirm|prompt)\\s*(?:\\(|`)[^)`]{0,60}(?:\\)|`)[^<>\"'=;]{0,40}[<>\"';}/]"
     "|[<>\"'=;{/\\s](?:alert|confirm|prompt)\\s*(?:\\(|`)[^)`]{0,60}(?:\\)|`)"
     "|\\bdocument\\s*\\.\\s*(?:cookie|write|domain|location)\\b\\s*[(=]?"
     "|\\b(?:eval|settimeout|setinterval|function)\\s*\\(\\s*(?:atob|string\\.fromcharcode|unescape)\\b"
     "|\\bjavascript\\s*:\\s*\\S|\\bon(?:error|load|click|focus|mouseover|toggle|begin)\\s*=\\s*\\S",
     "Script"},
    {RULE_INJECTED_SCRIPT, PROTECTION_MALICIOUS_PAYLOAD, 5, IN_VALUES | IN_PATH, ":=<",
     "(?i)\\bjavascript\\s*:\\s*[a-z(/]|\\bvbscript\\s*:|data:text/html[;,]"
     "|<[a-z/!?][^>]{0,200}[\\s/\"'](?:on[a-z]{3,30}|srcdoc|formaction|xlink:href)\\s*="
     "|<\\s*(?:script|iframe|object|embed|svg|math|base|meta|link|isindex)\\b[^<]{0,200}(?:>|/|\\bsrc\\b)",
     "Script"},
    {RULE_INJECTED_SQL, PROTECTION_SQL_INJECTION, 5, IN_VALUES | NOT_IN_PROSE, ";'\")(",
     "(?i)(?:['\")\\d%]|\\)|^)\\s*;\\s*(?:iif|if|select|exec|execute|declare|waitfor|drop|insert|update|"
     "delete|shutdown|create|alter|truncate|begin)\\b\\s*[\\s(]"
     "|\\b(?:sleep|benchmark|pg_sleep|dbms_pipe\\.receive_message|randomblob|extractvalue|updatexml|"
     "load_file|xp_cmdshell|utl_http\\.request|regexp_substring|crypt_key|waitfor\\s+delay)\\s*\\(?\\s*['\"\\d(@]"
     "|['\")]\\s*(?:and|or|xor|\\|\\||&&)\\s*\\(*\\s*['\"(]?\\w{1,20}['\"]?\\s*(?:=|<|>|like|rlike|in\\b|between)\\s*['\"(]?\\w"
     "|\\bunion\\s+(?:all\\s+|distinct\\s+)?select\\b|\\border\\s+by\\s+\\d+\\s*(?:--|#|$)"
     "|\\bselect\\b.{1,100}\\bfrom\\b.{1,60}(?:--|#|\\bwhere\\b|\\binformation_schema\\b|\\bsys)",
     "SQL injection"},
    /* Whatever stands around it: behind what ends a value, a statement more or a condition that the
     * rest of the query is cut off from. */
    {RULE_INJECTED_SQL, PROTECTION_SQL_INJECTION, 5, IN_VALUES, ";'\"(,@*#-",
     "(?i)" CLOSED GAP ";" GAP "(?:(?:drop|truncate|alter|create)" GAP1
     "(?:table|database|user|schema|index|view|login)" GAP1 "\\w|insert" GAP1 "into" GAP1
     "\\w|delete" GAP1 "from" GAP1 "\\w|update" GAP1 "\\w{1,64}" GAP1 "set" GAP1
     "\\w|exec(?:ute)?" GAP1 "(?:master|[xs]p_)|declare" GAP1 "@|waitfor" GAP1 "delay|shutdown" GAP
     "(?:;|" REST ")|select" GAP1 "(?:pg_)?sleep\\()"
     "|['\"]" GAP "\\)*+" GAP "(?:and|or|xor|\\|\\||&&)" GAP "\\(*+" GAP
     "(?:(['\"]?)\\w{0,20}\\1" GAP "(?:[=<>]|(?:not" GAP1 ")?r?like)" GAP
     "['\"]?\\w{0,20}['\"]?" GAP "\\)*+" GAP ";?" GAP "(?:" REST "|$)|'\\w{0,20}'" GAP "=" GAP
     "'\\w|(\\d{1,10})" GAP "=" GAP "\\2\\b)"
     "|" CLOSED GAP "\\)*+" GAP "union" GAP1 "(?:(?:all|distinct)" GAP1 ")?select" GAP1
     "(?:\\w{1,64}" GAP "[,(]|@@|['\"*]|.{1,100}" REST ")"
     "|['\"]" GAP "\\)*+" GAP "(?:(?:and|or|xor)" GAP1 "(?:true|false|\\d{1,10})" GAP REST
     "|(?:and|or|xor|,|\\|\\||&&)" GAP "(?:not" GAP ")?\\(+" GAP "select\\b|order" GAP1 "by" GAP1
     "\\d{1,5}" GAP REST "|group" GAP1 "by" GAP1 "\\w.{0,60}" REST ")"
     "|['\")]" GAP
     "(?:and|or|xor|;|,|\\|\\||&&).{0,60}\\b(?:sleep|benchmark|pg_sleep|extractvalue|updatexml|"
     "load_file|xp_cmdshell)" GAP "\\(" GAP "['\"\\d(@]",
     "SQL injection"},
};

struct own_patterns {
    struct regex_cache *regexes;
    uint64_t needs[ARRAY_LENGTH(patterns)][4];
};

struct own_patterns *own_patterns_new(void)
{
    struct own_patterns *own = calloc(1, sizeof(*own));
    if (own == NULL)
        return NULL;
    own->regexes = regex_cache_new(ARRAY_LENGTH(patterns));
    if (own->regexes == NULL)
        return own_patterns_free(own);
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
        for (const char *at = patterns[i].needs; *at != '\0'; at++)
            own->needs[i][(unsigned char)*at >> 6] |= 1ULL << ((unsigned char)*at & 63);
    }
    return own;
}

struct own_patterns *own_patterns_free(struct own_patterns *own)
{
    if (own == NULL)
        return NULL;
    regex_cache_free(own->regexes);
    free(own);
    return NULL;
}

void own_patterns_prepare(struct own_patterns *own)
{
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) /* does nothing the second time */
        regex_cache_prepare(own->regexes, i, span_of(patterns[i].expression));
}

static void check(struct own_patterns *own, struct judgement *judgement, unsigned where,
                  struct span list, struct span name, struct span text)
{
    uint64_t bytes[4] = {0};
    for (size_t i = 0; i < text.length; i++)
        bytes[(unsigned char)text.data[i] >> 6] |= 1ULL << ((unsigned char)text.data[i] & 63);
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
        const struct own_pattern *pattern = &patterns[i];
        struct span captures[REGEX_CAPTURES];
        if ((pattern->flags & where) == 0 || !bytes_meet(bytes, own->needs[i]) ||
            !judgement_in_time(judgement) ||
            !regex_cache_match(own->regexes, i, span_of(pattern->expression), text, captures) ||
            ((pattern->flags & NOT_IN_PROSE) != 0 &&
             prose_around(text, (size_t)(captures[0].data - text.data))))
            continue;
        (void)judgement_find(judgement, &(struct judgement_match){
                                            .protection = pattern->protection,
                                            .rule = pattern->rule,
                                            .score = pattern->score,
                                            .message = span_of(pattern->message),
                                            .list = list,
                                            .name = name,
                                            .text = text,
                                            .offset = (size_t)(captures[0].data - text.data),
                                        });
    }
}

void own_patterns_check(struct own_patterns *own, struct judgement *judgement)
{
    static const struct {
        enum request_list list;
        const char *name;
        unsigned where;
    } looked_at[] = {
        {REQUEST_ARGUMENTS_GET, "ARGS", IN_VALUES},
        {REQUEST_ARGUMENTS_POST, "ARGS", IN_VALUES},
        {REQUEST_COOKIES, "REQUEST_COOKIES", IN_VALUES},
        {REQUEST_ARGUMENTS_GET_NAMES, "ARGS_NAMES", IN_NAMES},
        {REQUEST_ARGUMENTS_POST_NAMES, "ARGS_NAMES", IN_NAMES},
        {REQUEST_XML_ATTRIBUTES, "XML", IN_VALUES},
        {REQUEST_XML_TEXT, "XML", IN_VALUES},
        {REQUEST_FILENAME, "REQUEST_FILENAME", IN_PATH},
    };
    const struct request *request = judgement->request;
    for (size_t i = 0; i < ARRAY_LENGTH(looked_at); i++) {
        const struct request_values *values = &request->lists[looked_at[i].list];
        for (size_t j = 0; j < values->count && judgement_in_time(judgement); j++)
            check(own, judgement, looked_at[i].where, span_of(looked_at[i].name),
                  values->values[j].name, values->values[j].text);
    }
    if (request->lists[REQUEST_XML_TEXT].count > 0)
        check(own, judgement, IN_BODY, SPAN("REQUEST_BODY"), SPAN_NONE, request->body);
}
