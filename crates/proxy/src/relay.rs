//! The path of a request, from its head to the head of its answer.
//!
//! Each stage is a move of a value that the stage before made: the head is authorized, the body
//! buffered into an [`Inbound`], a candidate chosen, the request encoded, sent, and its answer
//! emitted. An error at any stage becomes the relay's own answer, and nothing else is sent instead.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderValue, Method, Request, Response, header, request};
use http_body::Body as _;
use hyper::body::Incoming;
use relay_core::credential::Admission;
use relay_core::error::RelayError;
use relay_core::provider::Changes;
use relay_core::request::{Endpoint, Facts, Inbound, SessionId};
use relay_core::scan::scan;
use relay_core::snapshot::Snapshot;

use crate::afford;
use crate::authorize::authorize;
use crate::body::{RequestBody, ResponseBody};
use crate::buffer::discard;
use crate::choose::{Candidate, choose};
use crate::clock;
use crate::debug;
use crate::dispatch::{Bounds, Fault, dispatch};
use crate::emit::{Reset, emit};
use crate::finish::Exchange;
use crate::local::{self, RELAY_REQUEST_ID};
use crate::models;
use crate::route::{Route, route};
use crate::say::issued;
use crate::settings::View;
use crate::travel::{Arrival, Estimate, Travel, errand};
use crate::worker::Worker;

/// Answers one request.
pub(crate) async fn relay(
    worker: &Worker,
    request: Request<Incoming>,
    reset: &Arc<Reset>,
) -> Response<ResponseBody> {
    let (head, body) = request.into_parts();
    let route = route(&head.method, &head.uri);
    let is_head = head.method == Method::HEAD;
    if let Ok(Route::Local(local)) = route {
        return local::for_method(local::answer(worker, local, &head), is_head);
    }
    let view = worker.view();
    let snapshot = view.snapshot();
    let mut exchange = worker.begin(&head, view.settings.exhibit);
    let id = HeaderValue::from_str(exchange.request_id());
    let waits_to_send = head.headers.contains_key(header::EXPECT);
    let pass = Pass {
        worker,
        view: &view,
        snapshot,
    };
    let mut body = Some(body);
    let mut response = match pass.attempt(route, head, &mut body, &mut exchange).await {
        Ok((Way::Estimated(tokens), _)) => {
            let told = debug::told(snapshot, &exchange);
            let mut response = local::estimate(tokens, exchange.request_id());
            response.headers_mut().extend(told);
            exchange.answered_here(response.status());
            response
        }
        Ok((Way::Answered(mut response), _)) => {
            response
                .headers_mut()
                .extend(debug::told(snapshot, &exchange));
            exchange.answered_here(response.status());
            local::for_method(*response, is_head)
        }
        Ok((Way::Arrived(arrival), endpoint)) => {
            let Arrival { answer, receipt } = *arrival;
            exchange.answered(&answer, receipt);
            let told = debug::told(snapshot, &exchange);
            let gap = snapshot.timeouts.gap;
            let mut response = emit(*answer, exchange, endpoint, gap, reset);
            response.headers_mut().extend(told);
            response
        }
        Err(error) => {
            if let Some(body) = body.filter(|_| !waits_to_send && error.wants_discard()) {
                Box::pin(discard(body)).await;
            }
            let response = local::refusal(&error, exchange.request_id());
            let mut response = local::for_method(response, is_head);
            response
                .headers_mut()
                .extend(debug::told(snapshot, &exchange));
            exchange.refuse(&error);
            response
        }
    };
    if let Ok(id) = id {
        response.headers_mut().insert(RELAY_REQUEST_ID, id);
    }
    response
}

const NO_CREDENTIAL: RelayError = RelayError::Internal("no credential and no reason");

/// How a request is answered.
enum Way {
    /// By an upstream.
    Arrived(Box<Arrival>),
    /// By the relay: so many tokens are estimated.
    Estimated(u64),
    /// By the relay, of what it knows.
    Answered(Box<Response<ResponseBody>>),
}

/// One request on its way through the stages.
struct Pass<'a> {
    worker: &'a Worker,
    view: &'a View,
    snapshot: &'a Arc<Snapshot>,
}

impl Pass<'_> {
    async fn attempt(
        &self,
        route: Result<Route, RelayError>,
        head: request::Parts,
        body: &mut Option<Incoming>,
        exchange: &mut Exchange,
    ) -> Result<(Way, Endpoint), RelayError> {
        let Route::Upstream(endpoint, path_and_query) = route? else {
            return Err(RelayError::Internal("a local route reached the data path"));
        };
        self.worker.admit(self.snapshot)?;
        let admission = authorize(self.snapshot, &head)?;
        exchange.note(|record| record.client.clone_from(&admission.client));
        let inbound = self.read(head, endpoint, path_and_query, body).await?;
        let kept_bytes = self.view.snapshot().limits.kept_body_bytes;
        exchange.read(&inbound, clock::now(), kept_bytes);
        let spend = &self.worker.shared.board.spend;
        afford::client(spend, &admission, &inbound)?;
        if endpoint == Endpoint::Models && models::answers(self.snapshot) {
            let answer = models::answer(self.worker, self.snapshot, &inbound.path_and_query)?;
            return Ok((Way::Answered(Box::new(answer)), endpoint));
        }
        let is_routed = endpoint.is_buffered() && inbound.facts.model.is_some();
        let way = if is_routed {
            self.route(admission, inbound, exchange).await?
        } else {
            let passed = Box::pin(self.pass_through(&admission, inbound, body, exchange));
            Way::Arrived(Box::new(passed.await?))
        };
        Ok((way, endpoint))
    }

    /// Goes from candidate to candidate, where there is something to route by.
    async fn route(
        &self,
        admission: Admission,
        inbound: Inbound,
        exchange: &mut Exchange,
    ) -> Result<Way, RelayError> {
        let errand = errand(
            self.snapshot,
            admission,
            &inbound,
            self.worker.shared.clock.now(),
        )?;
        let buffered = inbound.body.clone();
        exchange.sending();
        let travel = Travel::begin(self.worker, self.view, exchange, (errand, inbound))?;
        let way = match travel {
            Ok(travel) => Way::Arrived(Box::new(travel.arrive().await?)),
            Err(Estimate(tokens)) => Way::Estimated(tokens),
        };
        self.worker.buffers.give_back(buffered);
        Ok(way)
    }

    /// Sends what is not routed to the one target that it belongs to.
    async fn pass_through(
        &self,
        admission: &Admission,
        mut inbound: Inbound,
        body: &mut Option<Incoming>,
        exchange: &mut Exchange,
    ) -> Result<Arrival, RelayError> {
        let (limits, timeouts) = (&self.snapshot.limits, &self.snapshot.timeouts);
        let Candidate {
            target,
            place,
            credential,
            key,
        } = choose(self.snapshot, admission, &inbound)?;
        exchange.note(|record| {
            record.target = Some(target.id.clone());
            record.key = key;
        });
        afford::target(&self.worker.shared.board.spend, &target.id, &inbound)?;
        let departure = exchange.depart(target);
        exchange.tell(&departure, &mut inbound.head.headers);
        exchange.note(|record| record.last = Some(departure));
        let provider = &*target.provider;
        let bounds = Bounds::of(self.snapshot, provider, &inbound, (false, false));
        let credential = match issued(&credential).await {
            Ok(credential) => credential,
            Err(Fault::Back(back)) => return Err(back.answer.err().unwrap_or(NO_CREDENTIAL)),
            Err(Fault::Ours(error)) => return Err(error),
        };
        let mut encoded = provider.encode(inbound, &credential, &Changes::default())?;
        provider.sign(&mut encoded, &credential, clock::unix())?;
        self.measure(body.as_ref())?;
        let (out, uploaded) = match body.take() {
            Some(body) => {
                let (out, uploaded) =
                    RequestBody::through(body, limits.max_passthrough_bytes, timeouts.body_read);
                (out, Some(uploaded))
            }
            None => (
                RequestBody::Whole(std::mem::take(&mut encoded.body).into()),
                None,
            ),
        };
        exchange.sending();
        let pool = self.view.pool(place)?;
        let result = dispatch(pool, encoded, out, uploaded.clone(), bounds).await;
        if let Some(bytes) = uploaded {
            exchange.note(|record| record.request_bytes = bytes.load(Ordering::Relaxed));
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(Fault::Back(back)) => back.answer?,
            Err(Fault::Ours(error)) => return Err(error),
        };
        Ok(Arrival {
            answer,
            receipt: None,
        })
    }

    /// Reads what the endpoint wants read. A body that streams through stays where it is.
    async fn read(
        &self,
        head: request::Parts,
        endpoint: Endpoint,
        path_and_query: Box<str>,
        body: &mut Option<Incoming>,
    ) -> Result<Inbound, RelayError> {
        let mut inbound = Inbound {
            head,
            endpoint,
            path_and_query,
            body: bytes::Bytes::new(),
            facts: Facts::default(),
        };
        if endpoint.is_buffered()
            && let Some(incoming) = body.as_mut()
        {
            let limit = self.snapshot.limits.max_body_bytes;
            let patience = self.snapshot.timeouts.body_read;
            inbound.body = self.worker.buffers.read(incoming, limit, patience).await?;
            *body = None;
            // What is no JSON object has no facts; whether it may pass is not decided here.
            inbound.facts = scan(&inbound.body).unwrap_or_default();
        }
        let named = inbound.head.headers.get("x-claude-code-session-id");
        if let Some(session) = named
            .and_then(|it| it.to_str().ok())
            .and_then(SessionId::new)
        {
            inbound.facts.session = Some(session);
        }
        Ok(inbound)
    }

    /// Refuses a body that streams through and says beforehand that it is too long.
    fn measure(&self, body: Option<&Incoming>) -> Result<(), RelayError> {
        let limit_bytes = self.snapshot.limits.max_passthrough_bytes;
        let announced = body.map_or(0, |body| body.size_hint().lower());
        if announced > limit_bytes {
            Err(RelayError::BodyTooLarge { limit_bytes })
        } else {
            Ok(())
        }
    }
}
