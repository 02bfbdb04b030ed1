//! The course of a message through the worker, from its delivery to its settlement.

use std::sync::Arc;

use celery_protocol::{Incoming, Message};
use futures_util::FutureExt;
use jiff::Timestamp;

use super::consumer::Consumer;
use super::delivery::Delivery;
use super::pool::Finished;
use super::report;
use super::state::{Active, Recognition, Reserved, Unsettled};
use super::strategy::{self, Disposition};
use crate::task::request::Request;
use crate::task::settlement::Settlement;

impl Consumer {
    pub(super) fn delivered(&mut self, delivery: Delivery, message: Message) {
        let info = Arc::clone(&delivery.info);
        match strategy::decide(message, info, &self.registry, Timestamp::now()) {
            Disposition::Start(request, task) => {
                report::received(&request);
                self.admit(Reserved {
                    delivery,
                    request,
                    task,
                });
            }
            Disposition::Hold(eta, request, task) => {
                report::received(&request);
                self.qos.hold(delivery.generation);
                self.state.hold(
                    eta,
                    Reserved {
                        delivery,
                        request,
                        task,
                    },
                );
            }
            Disposition::Expired(request) => {
                report::received(&request);
                if let Some(delivery) = self.unless_known(&request, delivery) {
                    self.expired(delivery, request);
                }
            }
            Disposition::Unregistered(incoming) => {
                report::unregistered(&incoming, &delivery.info);
                self.unregistered(delivery, incoming);
            }
            Disposition::Refuse(error) => {
                report::refused(&error);
                self.settle(delivery, Settlement::of_refusal(&error));
            }
        }
    }

    /// Starts a request as soon as its task's rate limit allows and a slot is free.
    pub(super) fn admit(&mut self, reserved: Reserved) {
        self.state.admit(reserved);
        self.start_reserved();
    }

    pub(super) fn start_reserved(&mut self) {
        while self.pool.has_free_slot()
            && let Some(reserved) = self.state.next_reserved()
        {
            self.start(reserved);
        }
    }

    fn start(
        &mut self,
        Reserved {
            delivery,
            request,
            task,
        }: Reserved,
    ) {
        let Some(delivery) = self.unless_known(&request, delivery) else {
            return;
        };
        if strategy::is_expired(request.message(), Timestamp::now()) {
            return self.expired(delivery, request);
        }
        let unsettled = if task.acks_late(self.acks_late) {
            Unsettled::Late(vec![delivery])
        } else {
            self.settle(delivery, Settlement::Ack);
            Unsettled::Early
        };
        let id = self
            .pool
            .start(&task, &request, self.state.time_limits(&task), &self.effects);
        let active = Active {
            request,
            task,
            unsettled,
        };
        self.state.started(id, active);
    }

    /// Returns the delivery of a request that this process has not run yet. The redelivery of a known run is settled as that
    /// run is, even if it has expired since.
    fn unless_known(&mut self, request: &Request, delivery: Delivery) -> Option<Delivery> {
        match self.state.recognise(request, delivery) {
            Recognition::New(delivery) => return Some(delivery),
            Recognition::Running => report::recognised(request, "is still running here"),
            Recognition::AckedEarly(delivery) => {
                report::recognised(request, "is still running here");
                self.settle(delivery, Settlement::Ack);
            }
            Recognition::Ended(delivery, settlement) => {
                report::recognised(request, "has already ended here");
                self.settle(delivery, settlement);
            }
        }
        None
    }

    pub(super) fn finished(&mut self, Finished { id, outcome, runtime }: Finished) {
        let Some(Active {
            request,
            task,
            unsettled,
        }) = self.state.take(id)
        else {
            return;
        };
        report::ended(&task, &request, &outcome, runtime);
        match unsettled {
            Unsettled::Early => self.state.ended(&request, Settlement::Ack),
            Unsettled::Late(deliveries) => {
                let settlement = task.settlement(&outcome);
                self.state.ended(&request, settlement);
                for delivery in deliveries {
                    self.settle(delivery, settlement);
                }
            }
        }
    }

    /// Acks a message that arrived too late to run, after the result backend has been updated.
    fn expired(&mut self, delivery: Delivery, request: Request) {
        report::discarded(&request);
        let effects = Arc::clone(&self.effects);
        let settled = async move {
            effects.expired(request.message()).await;
            delivery.settle(Settlement::Ack).await
        };
        self.settling.push(settled.boxed());
    }

    /// Rejects a message whose task is not registered, after the result backend has been updated.
    fn unregistered(&mut self, delivery: Delivery, incoming: Box<Incoming>) {
        let effects = Arc::clone(&self.effects);
        let settled = async move {
            effects.unregistered(&incoming).await;
            delivery.settle(Settlement::Reject { requeue: false }).await
        };
        self.settling.push(settled.boxed());
    }

    fn settle(&mut self, delivery: Delivery, settlement: Settlement) {
        self.settling.push(delivery.settle(settlement));
    }
}
