#include <errno.h>
#include <libxml/xmlwriter.h>

#include "fs.h"
#include "gate.h"
#include "str.h"

static const xmlChar *as_xml(const char *text)
{
    return (const xmlChar *)text; /* UTF-8 */
}

static bool attribute(xmlTextWriter *w, const char *name, const char *value)
{
    return xmlTextWriterWriteAttribute(w, as_xml(name), as_xml(value)) >= 0;
}

static bool count(xmlTextWriter *w, const char *name, size_t value)
{
    char text[24];
    (void)den_str_format(text, sizeof text, "%zu", value);
    return attribute(w, name, text);
}

static bool property(xmlTextWriter *w, const char *name, const char *value)
{
    return xmlTextWriterStartElement(w, as_xml("property")) >= 0 &&
           attribute(w, "name", name) && attribute(w, "value", value) &&
           xmlTextWriterEndElement(w) >= 0;
}

static bool properties(xmlTextWriter *w, const struct den_gate *gate)
{
    return xmlTextWriterStartElement(w, as_xml("properties")) >= 0 &&
           property(w, "candidate", gate->candidate.name) &&
           (gate->champion.version == 0 ||
            property(w, "champion", gate->champion.name)) &&
           (gate->golden == NULL || property(w, "dataset", gate->golden)) &&
           property(w, "promoted", gate->promoted ? "true" : "false") &&
           xmlTextWriterEndElement(w) >= 0;
}

static bool test_case(xmlTextWriter *w, const struct den_gate *gate, size_t r)
{
    const struct den_gate_verdict *v = &gate->verdicts[r];
    char text[256];
    if (gate->champion.version == 0)
        (void)den_str_format(text, sizeof text,
                             "candidate %.6g, no champion yet, over %zu images",
                             v->candidate, v->n);
    else
        (void)den_str_format(
            text, sizeof text,
            "candidate %.6g, champion %.6g, difference %.6g [%.6g, %.6g] "
            "over %zu images",
            v->candidate, v->champion, v->difference, v->low, v->high, v->n);
    return xmlTextWriterStartElement(w, as_xml("testcase")) >= 0 &&
           attribute(w, "classname", gate->candidate.name) &&
           attribute(w, "name", gate->rules[r].text) &&
           (v->holds ||
            (xmlTextWriterStartElement(w, as_xml("failure")) >= 0 &&
             attribute(w, "message", text) && xmlTextWriterEndElement(w) >= 0)) &&
           (!v->holds ||
            xmlTextWriterWriteElement(w, as_xml("system-out"), as_xml(text)) >= 0) &&
           xmlTextWriterEndElement(w) >= 0;
}

static bool suite(xmlTextWriter *w, const struct den_gate *gate)
{
    char seconds[32];
    (void)den_str_format(seconds, sizeof seconds, "%.3f", gate->seconds);
    bool done = xmlTextWriterStartDocument(w, NULL, "UTF-8", NULL) >= 0 &&
                xmlTextWriterStartElement(w, as_xml("testsuites")) >= 0 &&
                xmlTextWriterStartElement(w, as_xml("testsuite")) >= 0 &&
                attribute(w, "name", "denoise promote") &&
                count(w, "tests", gate->count) && count(w, "failures", gate->failed) &&
                count(w, "errors", 0) && attribute(w, "time", seconds) &&
                properties(w, gate);
    for (size_t r = 0; done && r < gate->count; r++)
        done = test_case(w, gate, r);
    return done && xmlTextWriterEndDocument(w) >= 0;
}

bool den_gate_write_junit(const struct den_gate *gate, const char *path,
                          struct den_err *err)
{
    xmlBuffer *text = xmlBufferCreate();
    xmlTextWriter *w = text != NULL ? xmlNewTextWriterMemory(text, 0) : NULL;
    bool made = w != NULL && xmlTextWriterSetIndent(w, 1) >= 0 && suite(w, gate);
    xmlFreeTextWriter(w); /* flushes */
    struct den_err cause = DEN_ERR_INIT;
    bool done = made && den_fs_write(path, xmlBufferContent(text),
                                     (size_t)xmlBufferLength(text), &cause);
    if (text != NULL)
        xmlBufferFree(text);
    if (!made)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a report");
    return done || den_err_about(err, path, &cause);
}
