//! What the document says of one method of one address.
use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::{Operation, Tag, path, problem};
use crate::{
    domain::Scope,
    http::api::{
        list::{List, View},
        params::Route,
    },
};

/// A media type's schema and example.
struct Content {
    media_type: &'static str,
    schema: Value,
    example: Option<Value>,
}

/// An answer that is a success.
struct Answer {
    says: String,
    contents: Vec<Content>,
    headers: Vec<&'static str>,
}

/// What one method of one address does.
pub(in crate::http::api) struct Doc {
    tag: Tag,
    summary: &'static str,
    about: String,
    scope: Option<Scope>,
    query: Option<&'static Route>,
    /// Name, sentence and schema of each.
    headers: Vec<(&'static str, &'static str, Value)>,
    body: Option<Content>,
    needs_body: bool,
    answers: BTreeMap<u16, Answer>,
    /// With a sentence where the problem is this operation's own.
    problems: BTreeMap<u16, Option<&'static str>>,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Doc {
    /// An operation for any live key.
    pub(in crate::http::api) fn new(tag: Tag, summary: &'static str) -> Self {
        let problems = [422, 500, 503, 507].map(|status| (status, None)).into();
        let nothing = Self {
            tag,
            summary,
            about: String::new(),
            scope: Some(Scope::Read),
            query: None,
            headers: Vec::new(),
            body: None,
            needs_body: true,
            answers: BTreeMap::new(),
            problems,
            schemas: Vec::new(),
        };
        nothing.needs(Scope::Read)
    }

    /// An operation for everybody, which takes what it is given.
    pub(in crate::http::api) fn open(tag: Tag, summary: &'static str) -> Self {
        Self { scope: None, problems: BTreeMap::new(), ..Self::new(tag, summary) }
    }

    /// The answer is a list, in pages, by cursor, or whole.
    pub(in crate::http::api) fn list<L: List>(self, about: &str) -> Self
    where
        L::Out<'static>: ToSchema,
    {
        const HEADERS: [&str; 2] = ["Link", "X-Total-Count"];
        let columns = L::columns(&View::default()).join(", ");
        self.query(L::ROUTE)
            .about(format!("{about}\n\nColumns of CSV: {columns}."))
            .problem(409, "The token belongs to another question, or two parameters contradict.")
            .answer(200, "Rows, the newest first.", forms_of::<L::Out<'static>>(), &HEADERS)
            .schema::<L::Out<'static>>()
    }

    /// The answer is sums, in any of the forms of a list, and all of them.
    pub(in crate::http::api) fn sums<T: ToSchema>(self, route: &'static Route) -> Self {
        self.query(route)
            .problem(
                409,
                "There is no such zone, the answer would have too many rows, or it would need \
                 records that were pruned: `detail` says from when on there are all.",
            )
            .answer(200, "Sums, by time and group.", forms_of::<T>(), &["Simdeck-Arrived-Through"])
            .schema::<T>()
    }

    /// The answer is what is new, and where to go on.
    pub(in crate::http::api) fn follows<T: ToSchema>(self, says: &str) -> Self {
        let content = array_of(content::<T>());
        self.answer(200, says, vec![content], &["Link"]).schema::<T>()
    }

    /// The answer is one JSON value.
    pub(in crate::http::api) fn gives<T: ToSchema>(self, status: u16, says: &str) -> Self {
        self.answer(status, says, vec![content::<T>()], &[]).schema::<T>()
    }

    /// The answer is an array that is no list: it has neither pages nor filters.
    pub(in crate::http::api) fn gives_all<T: ToSchema>(self, says: &str) -> Self {
        let content = array_of(content::<T>());
        self.answer(200, says, vec![content], &[]).schema::<T>()
    }

    /// The answer is a text of this media type.
    pub(in crate::http::api) fn gives_text(self, media_type: &'static str, says: &str) -> Self {
        self.answer(200, says, vec![text(media_type, None)], &[])
    }

    /// The answer is a file of one of the page's kinds.
    pub(in crate::http::api) fn gives_file(self, says: &str) -> Self {
        let kinds = ["text/html", "text/css", "text/javascript", "image/png"];
        let contents = kinds.map(|media_type| text(media_type, None));
        self.answer(200, says, contents.into(), &[])
    }

    /// The answer is JSON of no schema of ours.
    pub(in crate::http::api) fn gives_object(self, says: &str) -> Self {
        let schema = json!({"type": "object"});
        let content = Content { media_type: "application/json", schema, example: None };
        self.answer(200, says, vec![content], &[])
    }

    /// The answer has no body.
    pub(in crate::http::api) fn gives_nothing(self, status: u16, says: &str) -> Self {
        self.answer(status, says, Vec::new(), &[])
    }

    /// The key needs this scope.
    pub(in crate::http::api) fn needs(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self.problems.extend([401, 429].map(|status| (status, None)));
        if scope == Scope::Admin {
            self.problems.insert(403, None);
        }
        self
    }

    /// It takes these parameters.
    pub(in crate::http::api) fn query(mut self, route: &'static Route) -> Self {
        self.query = Some(route);
        self
    }

    /// It reads this header of a request.
    pub(in crate::http::api) fn header(
        mut self,
        name: &'static str,
        says: &'static str,
        schema: Value,
    ) -> Self {
        self.headers.push((name, says, schema));
        self
    }

    /// It takes a JSON body.
    pub(in crate::http::api) fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(content::<T>());
        self.problems.extend([400, 408, 413, 415].map(|status| (status, None)));
        self.schema::<T>()
    }

    /// It takes a text of this media type, one that looks so; without a pattern any, and none.
    pub(in crate::http::api) fn takes_text(
        mut self,
        media_type: &'static str,
        pattern: Option<&str>,
        example: &str,
    ) -> Self {
        let schema = match pattern {
            Some(pattern) => json!({"type": "string", "pattern": pattern}),
            None => json!({"description": "Any text: what cannot be read in it is told."}),
        };
        self.body = Some(Content { schema, ..text(media_type, Some(example.to_owned())) });
        self.needs_body = pattern.is_some();
        self.problems.extend([408, 413, 415].map(|status| (status, None)));
        self.problem(400, "The body broke off.")
    }

    /// More than fits into the summary.
    pub(in crate::http::api) fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    /// It may be refused with this status, and why.
    pub(in crate::http::api) fn problem(mut self, status: u16, why: &'static str) -> Self {
        self.problems.insert(status, Some(why));
        self
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    /// The schemas that its answers and bodies are made of, by name.
    pub(super) fn schemas(&self) -> impl Iterator<Item = &(String, RefOr<Schema>)> {
        self.schemas.iter()
    }

    fn answer(
        mut self,
        status: u16,
        says: &str,
        contents: Vec<Content>,
        headers: &[&'static str],
    ) -> Self {
        let answer = Answer { says: says.to_owned(), contents, headers: headers.to_vec() };
        self.answers.insert(status, answer);
        self
    }

    fn schema<T: ToSchema>(mut self) -> Self {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        self
    }
}

impl Operation {
    /// As it stands below its path and method.
    pub(super) fn document(&self, first_page: u32) -> Value {
        let doc = &self.doc;
        let mut parameters: Vec<Value> = self.path_parameters().collect();
        parameters.extend(doc.query.iter().flat_map(|route| route.document(first_page)));
        parameters.extend(doc.headers.iter().map(|(name, says, schema)| {
            json!({
                "name": name, "in": "header", "required": false, "description": says,
                "schema": schema,
            })
        }));
        let security = match doc.scope {
            Some(_) => json!([{"ApiKey": []}, {"Bearer": []}]),
            None => json!([]),
        };
        let mut about = doc.about.clone();
        if doc.scope == Some(Scope::Admin) {
            about = format!("Needs a key of scope `admin`. {about}").trim_end().to_owned();
        }
        let mut operation = json!({
            "operationId": self.id(),
            "tags": [doc.tag.name()],
            "summary": doc.summary,
            "parameters": parameters,
            "security": security,
            "responses": self.responses(),
        });
        if !about.is_empty() {
            operation["description"] = about.into();
        }
        if let Some(body) = &doc.body {
            let required = doc.needs_body;
            operation["requestBody"] = json!({"required": required, "content": contents([body])});
        }
        operation
    }

    fn responses(&self) -> Value {
        let doc = &self.doc;
        let is_counted = doc.scope.is_some();
        let answers = doc.answers.iter().map(|(status, answer)| {
            let answer = json!({
                "description": answer.says,
                "headers": headers(&answer.headers, is_counted),
                "content": contents(&answer.contents),
            });
            (status.to_string(), answer)
        });
        let mut problems = doc.problems.clone();
        if self.path.contains('{') {
            problems.entry(404).or_insert(None);
        }
        if doc.query.is_some() {
            problems.extend([414, 431].map(|status| (status, None)));
        }
        let problems = problems.iter().map(|(status, why)| {
            let response = match why {
                None => json!({"$ref": format!("#/components/responses/{status}")}),
                Some(why) => problem::response(*status, why, is_counted),
            };
            (status.to_string(), response)
        });
        answers.chain(problems).collect()
    }

    fn path_parameters(&self) -> impl Iterator<Item = Value> {
        let names =
            self.path.split('/').filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
        names.map(|name| {
            let (says, schema) = path::parameter(name);
            json!({
                "name": name, "in": "path", "required": true, "description": says,
                "schema": schema,
            })
        })
    }
}

fn contents<'a>(contents: impl IntoIterator<Item = &'a Content>) -> Value {
    contents
        .into_iter()
        .map(|content| {
            let mut media = json!({"schema": content.schema});
            if let Some(example) = &content.example {
                media["example"] = example.clone();
            }
            (content.media_type.to_owned(), media)
        })
        .collect()
}

/// The headers of an answer: those named, and those that every answer has.
pub(super) fn headers(names: &[&'static str], is_counted: bool) -> Value {
    const COUNTED: [&str; 3] = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
    let counted = COUNTED.into_iter().filter(|_| is_counted);
    names
        .iter()
        .copied()
        .chain(["X-Request-Id"])
        .chain(counted)
        .map(|name| {
            let header = json!({"$ref": format!("#/components/headers/{name}")});
            (name.to_owned(), header)
        })
        .collect()
}

fn content<T: ToSchema>() -> Content {
    let example = example_of(&T::schema());
    Content { media_type: "application/json", schema: reference::<T>(), example }
}

/// Many of these.
fn array_of(one: Content) -> Content {
    let schema = json!({"type": "array", "items": one.schema});
    Content { schema, example: one.example.map(|row| json!([row])), ..one }
}

/// Rows in each of the forms that they have.
fn forms_of<T: ToSchema>() -> Vec<Content> {
    let row = content::<T>();
    let line = row.example.as_ref().map(|row| format!("{row}\n"));
    vec![array_of(row), text("application/x-ndjson", line), text("text/csv", None)]
}

fn text(media_type: &'static str, example: Option<String>) -> Content {
    let schema = json!({"type": "string"});
    Content { media_type, schema, example: example.map(Value::String) }
}

fn reference<T: ToSchema>() -> Value {
    json!({"$ref": format!("#/components/schemas/{}", T::name())})
}

/// The first example that a schema has.
fn example_of(schema: &RefOr<Schema>) -> Option<Value> {
    let RefOr::T(schema) = schema else { return None };
    let examples = match schema {
        Schema::Object(object) => &object.examples,
        Schema::AllOf(all_of) => &all_of.examples,
        Schema::OneOf(one_of) => &one_of.examples,
        Schema::Array(array) => &array.examples,
        _ => return None,
    };
    examples.first().cloned()
}
