//! Alerts: rules and how each stands, what changed, who is told, and who is not.
//!
//! What a rule means is the alert room's: here it is a JSON value. Here is what must not be lost or doubled by a crash:
//! a step of a rule's state, the events that it makes and what is to be sent for them are one transaction.
//!
//! Reading order: [`rule`] → [`event`] → [`receiver`] → [`delivery`] → [`silence`].

pub mod delivery;
pub mod event;
pub mod receiver;
pub mod rule;
pub mod silence;

use qd_base::words;

pub use delivery::{Delivery, Ending};
pub use event::{AlertEvent, AlertEventFilter, NewAlertEvent};
pub use receiver::{NewReceiver, Receiver, ReceiverChange};
pub use rule::{Alert, AlertStep, NewAlert, Standing};
pub use silence::{NewSilence, Silence};

words!(
    /// How a rule stands.
    AlertState, "state of alerts", {
        /// There is nothing to tell.
        Ok = "ok",
        /// Its condition holds, and not for long enough yet.
        Pending = "pending",
        /// It fires.
        Firing = "firing",
        /// It fires, its condition does not hold any more, and not for long enough yet.
        Recovering = "recovering",
        /// There is nothing to judge by.
        NoData = "no_data",
        /// It could not be evaluated, several times on end.
        Error = "error",
    }
);

words!(
    /// What can change about how a rule stands.
    AlertChange, "change of alerts", {
        /// Its condition came to hold.
        Pending = "pending",
        /// It began to fire.
        Firing = "firing",
        /// It fires, and its condition ceased to hold.
        Recovering = "recovering",
        /// It ceased to fire.
        Resolved = "resolved",
        /// There is nothing to judge by any more.
        NoData = "no_data",
        /// It cannot be evaluated any more.
        Error = "error",
        /// All is well again, without its having fired.
        Ok = "ok",
    }
);

words!(
    /// How much an alert matters.
    Severity, "severity", {
        /// Worth knowing.
        Info = "info",
        /// Should be looked at.
        Warning = "warning",
        /// Should be looked at now.
        Critical = "critical",
    }
);
