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

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

pub use delivery::{Delivery, Ending};
pub use event::{AlertEvent, AlertEventFilter, NewAlertEvent};
pub use receiver::{NewReceiver, Receiver, ReceiverChange};
pub use rule::{Alert, AlertStep, NewAlert, Standing};
pub use silence::{NewSilence, Silence};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),* }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word in tables, in JSON and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let found = Self::ALL.iter().copied().find(|word| word.as_str() == text);
                found.ok_or_else(|| Error::not_found($what, crate::limit::shorten(text, 80)))
            }
        }
    };
}

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
