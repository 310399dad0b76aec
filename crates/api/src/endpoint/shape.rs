//! What an endpoint is: its description, the request that is made of it, and the macro that declares one. Percent-encoding
//! of paths and queries happens here and nowhere else.

use crate::client::ClientError;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use std::marker::PhantomData;

/// Everything but the unreserved characters of RFC 3986, and two that separate nothing in a segment or a value.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b',');

/// Adds the schema of a type to an OpenAPI document and returns it, or a reference to it.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// How long a client waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// As long as the daemon may take to look something up.
    Usual,
    /// Until the answer is there: a model, a check or a look at every worktree takes as long as it takes.
    Unlimited,
}

/// What the router, the OpenAPI document and the client know about an endpoint.
#[derive(Debug)]
pub struct Description {
    /// The method.
    pub method: Method,
    /// The path, with each parameter in braces.
    pub path: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The schema of the query.
    pub query: Option<SchemaOf>,
    /// The schema of the body.
    pub body: Option<SchemaOf>,
    /// The media type of the answer.
    pub media_type: &'static str,
    /// The schema of the answer; of an event stream, the schema of each event's data.
    pub answer: Option<SchemaOf>,
    /// How long a client waits for the answer.
    pub wait: Wait,
}

/// A request of the API. A value of an implementing type is one whole request: its path parameters, query and body.
pub trait Endpoint: ToRequest {
    /// What is known about it without a value.
    const DESCRIPTION: Description;
    /// What is read behind the `?`; `()` where there is none.
    type Query;
    /// What is read as the body; `()` where there is none.
    type Body;
}

/// What can be sent by a [`Client`](crate::client::Client).
pub trait ToRequest {
    /// The answer: a JSON document, or the marker [`Events`] or [`Text`].
    type Answer;

    /// Encodes the request.
    ///
    /// # Errors
    /// A value has no JSON form, such as a path that is not UTF-8.
    fn to_request(&self) -> Result<Request<Self::Answer>, ClientError>;
}

/// The answer of an event stream whose events carry `T`.
#[derive(Debug)]
pub struct Events<T>(PhantomData<T>);

/// An answer that is not parsed.
#[derive(Debug)]
pub enum Text {}

/// A request as it goes over the wire, with the type of its answer.
#[derive(Debug)]
pub struct Request<A> {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(crate) wait: Wait,
    answer: PhantomData<fn() -> A>,
}

impl<A> Request<A> {
    /// A request to an endpoint, without query and body.
    pub(super) fn new(endpoint: &Description, parameters: &[(&str, &dyn Display)]) -> Self {
        let mut target = endpoint.path.to_owned();
        for (name, value) in parameters {
            target = target.replace(&format!("{{{name}}}"), &encoded(&value.to_string()));
        }
        let (method, wait) = (endpoint.method.clone(), endpoint.wait);
        Self { method, target, body: Vec::new(), wait, answer: PhantomData }
    }

    /// The same with a query. Fields that are `None` are left out.
    pub(super) fn query<Q: Serialize>(mut self, query: &Q) -> Result<Self, ClientError> {
        let mut separator = '?';
        if let Value::Object(fields) = serde_json::to_value(query).map_err(unencoded)? {
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                self.target.push_str(&format!("{separator}{}={}", encoded(name), encoded(&value)));
                separator = '&';
            }
        }
        Ok(self)
    }

    /// The same with a body.
    pub(super) fn body<B: Serialize>(mut self, body: &B) -> Result<Self, ClientError> {
        self.body = serde_json::to_vec(body).map_err(unencoded)?;
        Ok(self)
    }

    /// The same request, whose answer is read as another type.
    pub(super) fn answered_with<B>(self) -> Request<B> {
        let Self { method, target, body, wait, answer: _ } = self;
        Request { method, target, body, wait, answer: PhantomData }
    }

    /// Whether it changes nothing, however often it is sent.
    pub fn only_reads(&self) -> bool {
        self.method == Method::GET
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl<A> Clone for Request<A> {
    fn clone(&self) -> Self {
        let Self { method, target, body, wait, answer } = self;
        Self { method: method.clone(), target: target.clone(), body: body.clone(), wait: *wait, answer: *answer }
    }
}

impl<A> ToRequest for Request<A> {
    type Answer = A;

    fn to_request(&self) -> Result<Self, ClientError> {
        Ok(self.clone())
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn unencoded(error: serde_json::Error) -> ClientError {
    ClientError::Unexpected(error.to_string())
}

/// Declares endpoints and `ALL`, the list of their descriptions. An entry is
///
/// ```text
/// /// summary
/// METHOD "path" Name { parameter: Type } ? Query with Body -> Answer, wait Unlimited;
/// ```
///
/// where everything between name and `;` may be left out. `=> T` in place of `-> Answer` declares a stream of events that
/// carry `T`, and `as "media/type"` an answer that is not JSON of ours.
macro_rules! endpoints {
    ($(
        #[doc = $summary:literal]
        $method:ident $path:literal $name:ident $({ $($parameter:ident: $of:ty),+ })?
        $(? $query:ident)? $(with $body:ident)?
        $(-> $answer:ty)? $(=> $event:ty)? $(as $media:literal)? $(, wait $wait:ident)?;
    )+) => {
        $(
            endpoints!(@structure $summary $name {
                $($($parameter: $of, concat!("`", stringify!($parameter), "` of the path.");)+)?
                $(query: $query, "The query.";)?
                $(body: $body, "The body.";)?
            });

            impl Endpoint for $name {
                const DESCRIPTION: Description = Description {
                    method: Method::$method,
                    path: $path,
                    summary: $summary.trim_ascii(),
                    query: endpoints!(@optional $(SchemaGenerator::root_schema_for::<$query>)?),
                    body: endpoints!(@optional $(SchemaGenerator::root_schema_for::<$body>)?),
                    media_type: endpoints!(@media $($answer)? $(=> $event)? $(as $media)?),
                    answer: endpoints!(@optional
                        $(SchemaGenerator::subschema_for::<$answer>)? $(SchemaGenerator::subschema_for::<$event>)?),
                    wait: endpoints!(@wait $($wait)?),
                };
                type Query = endpoints!(@type $($query)?);
                type Body = endpoints!(@type $($body)?);
            }

            impl ToRequest for $name {
                type Answer = endpoints!(@answer $($answer)? $(=> $event)? $(as $media)?);

                fn to_request(&self) -> Result<Request<Self::Answer>, ClientError> {
                    let request = Request::new(&Self::DESCRIPTION, &[
                        $($((stringify!($parameter), &self.$parameter)),+)?
                    ]);
                    $(let request = request.query::<$query>(&self.query)?;)?
                    $(let request = request.body::<$body>(&self.body)?;)?
                    Ok(request)
                }
            }
        )+

        /// The descriptions of all endpoints, in the order of the table.
        pub static ALL: &[Description] = &[$($name::DESCRIPTION),+];
    };
    (@structure $summary:literal $name:ident {}) => {
        #[doc = $summary]
        #[derive(Debug, Clone)]
        pub struct $name;
    };
    (@structure $summary:literal $name:ident { $($field:ident: $of:ty, $doc:expr;)+ }) => {
        #[doc = $summary]
        #[derive(Debug, Clone)]
        pub struct $name {
            $(#[doc = $doc] pub $field: $of,)+
        }
    };
    (@optional) => { None };
    (@optional $value:expr) => { Some($value) };
    (@media $answer:ty) => { "application/json" };
    (@media => $event:ty) => { "text/event-stream" };
    (@media as $media:literal) => { $media };
    (@answer $answer:ty) => { $answer };
    (@answer => $event:ty) => { Events<$event> };
    (@answer as $media:literal) => { Text };
    (@type) => { () };
    (@type $of:ident) => { $of };
    (@wait) => { Wait::Usual };
    (@wait $wait:ident) => { Wait::$wait };
}
pub(super) use endpoints;
