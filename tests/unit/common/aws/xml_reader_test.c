/* XML from strangers: what is read, what is refused. */
#include "common/aws/xml_reader.h"

#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* "a(b[text])" of the elements and texts; "broken" at the end when it is. */
static void shape(const char *xml, size_t length, char *said, size_t size)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(65536);
    struct xml_reader reader;
    bool leaf = false;

    xml_reader_begin(&reader, xml, length);
    for (;;) {
        enum xml_token token = xml_reader_next(&reader);
        if (token == XML_OPEN) {
            (void)buffer_append_format(&text, "%s(", reader.name);
        } else if (token == XML_CLOSE) {
            (void)buffer_append_format(&text, "%s)", leaf ? buffer_text(&reader.text) : "");
        } else {
            (void)buffer_append_text(&text, token == XML_BROKEN ? "broken" : "");
            break;
        }
        leaf = token == XML_OPEN;
    }
    xml_reader_done(&reader);
    (void)text_copy(said, size, buffer_text(&text));
}

static void expect(const char *xml, const char *wanted)
{
    char said[4096];

    shape(xml, strlen(xml), said, sizeof said);
    assert_string_equal(said, wanted);
}

static void test_elements_and_texts(void **state UNUSED)
{
    expect("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns=\"x>y\"><b>1</b><c/>"
           "<d e='\"'>2</d ></a>\n",
           "a(b(1)c()d(2))");
    expect("<a><!-- <b> -->x<!---->y</a>", "a(xy)");
    expect("<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x3042;&#x1F600;</a>",
           "a(<&>\"'A\xe3\x81\x82\xf0\x9f\x98\x80)");
}

static void test_what_is_no_such_document(void **state UNUSED)
{
    static const char *const broken[] = {"",
                                         "x",
                                         "<a>",
                                         "</a>",
                                         "<a></b>",
                                         "<a/><b/>",
                                         "<a>&b;</a>",
                                         "<a>&#0;</a>",
                                         "<a>&#xD800;</a>",
                                         "<a>&#x;</a>",
                                         "<a>&#99999999999;</a>",
                                         "<a b=\"",
                                         "<a",
                                         "<a/>x",
                                         "<!DOCTYPE a><a/>",
                                         "<a><![CDATA[x]]></a>",
                                         "<a><!-- </a>",
                                         "< a/>",
                                         "<a><?x?></a>",
                                         "<a b=<>/>"};
    char said[4096];

    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        shape(broken[i], strlen(broken[i]), said, sizeof said);
        if (!text_ends_with(said, "broken"))
            fail_msg("%s was read: %s", broken[i], said);
    }
    shape("<a>x\0y</a>", 10, said, sizeof said);
    assert_true(text_ends_with(said, "broken"));
}

static void test_depth_and_length(void **state UNUSED)
{
    char xml[512] = "", said[4096], name[XML_NAME_BYTES + 8];
    size_t length = 0;

    for (unsigned i = 0; i < XML_DEPTH + 1; i++)
        length += (size_t)text_format(xml + length, sizeof xml - length, "<a>");
    shape(xml, length, said, sizeof said);
    assert_true(text_ends_with(said, "broken"));
    memset(name, 'n', sizeof name);
    (void)text_format(xml, sizeof xml, "<%.*s/>", XML_NAME_BYTES, name);
    shape(xml, strlen(xml), said, sizeof said);
    assert_string_equal(said, "broken");
    (void)text_format(xml, sizeof xml, "<%.*s/>", XML_NAME_BYTES - 1, name);
    shape(xml, strlen(xml), said, sizeof said);
    assert_false(text_ends_with(said, "broken"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements_and_texts),
        cmocka_unit_test(test_what_is_no_such_document),
        cmocka_unit_test(test_depth_and_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
