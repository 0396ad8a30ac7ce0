//! The health of one target as a value: its state, why, and the thresholds that move it. Results of checks go in, the
//! next health comes out; no clock, no IO, and no knowledge of who sends the checks.

use std::borrow::Cow;

use serde::Serialize;

use crate::model::HealthCheckSettings;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Initial,
    Healthy,
    Unhealthy,
    Unused,
    Draining,
    Unavailable,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Initial => "initial",
            State::Healthy => "healthy",
            State::Unhealthy => "unhealthy",
            State::Unused => "unused",
            State::Draining => "draining",
            State::Unavailable => "unavailable",
        }
    }
}

/// Why a target is in its state; a healthy one has no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    RegistrationInProgress,
    InitialHealthChecking,
    CheckFailed(Failure),
    /// The check could not be made, for a cause on this side.
    InternalError,
    NotInUse,
    DeregistrationInProgress,
}

/// How a check failed, as far as it is the target's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The status is not in the matcher.
    ResponseCodeMismatch(u16),
    Timeout,
    /// No connection, or no readable response on it.
    FailedHealthChecks,
}

/// What one check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    Fail(Failure),
    /// Nothing learnt about the target: this side lacked descriptors, ports or memory.
    InternalError,
}

impl Reason {
    /// The ALB's reason code.
    pub fn code(self) -> &'static str {
        match self {
            Reason::RegistrationInProgress => "Elb.RegistrationInProgress",
            Reason::InitialHealthChecking => "Elb.InitialHealthChecking",
            Reason::CheckFailed(Failure::ResponseCodeMismatch(_)) => "Target.ResponseCodeMismatch",
            Reason::CheckFailed(Failure::Timeout) => "Target.Timeout",
            Reason::CheckFailed(Failure::FailedHealthChecks) => "Target.FailedHealthChecks",
            Reason::InternalError => "Elb.InternalError",
            Reason::NotInUse => "Target.NotInUse",
            Reason::DeregistrationInProgress => "Target.DeregistrationInProgress",
        }
    }

    /// The ALB's words for it.
    pub fn description(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Reason::RegistrationInProgress => "Target registration is in progress",
            Reason::InitialHealthChecking => "Initial health checks in progress",
            Reason::CheckFailed(Failure::ResponseCodeMismatch(status)) => {
                return Cow::Owned(format!("Health checks failed with these codes: [{status}]"));
            }
            Reason::CheckFailed(Failure::Timeout) => "Request timed out",
            Reason::CheckFailed(Failure::FailedHealthChecks) => "Health checks failed",
            Reason::InternalError => "Health checks failed due to an internal error",
            Reason::NotInUse => {
                "Target group is not configured to receive traffic from the load balancer"
            }
            Reason::DeregistrationInProgress => "Target deregistration is in progress",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetHealth {
    pub state: State,
    pub reason: Option<Reason>,
    /// Results in a row that speak against the state: passes of an unhealthy target, failures of any other.
    against: u32,
}

impl TargetHealth {
    /// Just registered, not checked yet.
    pub const REGISTERED: Self = Self::new(State::Initial, Some(Reason::RegistrationInProgress));
    /// In a group that no rule or default action uses: gets no checks.
    pub const UNUSED: Self = Self::new(State::Unused, Some(Reason::NotInUse));
    pub const DRAINING: Self = Self::new(State::Draining, Some(Reason::DeregistrationInProgress));
    const HEALTHY: Self = Self::new(State::Healthy, None);
    const CHECKING: Self = Self::new(State::Initial, Some(Reason::InitialHealthChecking));

    const UNAVAILABLE: Self = Self::new(State::Unavailable, Some(Reason::InternalError));

    const fn new(state: State, reason: Option<Reason>) -> Self {
        Self {
            state,
            reason,
            against: 0,
        }
    }

    /// Whether checks are sent to a target in this state.
    pub fn is_checked(self) -> bool {
        match self.state {
            State::Initial | State::Healthy | State::Unhealthy | State::Unavailable => true,
            State::Unused | State::Draining => false,
        }
    }

    /// A check is under way.
    #[must_use]
    pub fn checking(self) -> Self {
        if self == Self::REGISTERED {
            Self::CHECKING
        } else {
            self
        }
    }

    /// The health after one more check. One pass makes a new target healthy; from then on the thresholds of `settings`
    /// decide.
    #[must_use]
    pub fn after(self, outcome: Outcome, settings: &HealthCheckSettings) -> Self {
        let against = self.against + 1;
        match (self.state, outcome) {
            // Too late, or nothing learnt.
            (State::Unused | State::Draining, _)
            | (State::Healthy | State::Unhealthy, Outcome::InternalError) => self,
            // Nothing is known of the target until a check can be made; what was counted still counts.
            (State::Initial | State::Unavailable, Outcome::InternalError) => Self {
                against: self.against,
                ..Self::UNAVAILABLE
            },

            (State::Unhealthy, Outcome::Pass) if against < settings.healthy_threshold => {
                Self { against, ..self }
            }
            (_, Outcome::Pass) => Self::HEALTHY,

            (State::Unhealthy, Outcome::Fail(failure)) => Self::unhealthy(failure),
            (_, Outcome::Fail(failure)) if against >= settings.unhealthy_threshold => {
                Self::unhealthy(failure)
            }
            (State::Healthy, Outcome::Fail(_)) => Self { against, ..self },
            (State::Initial | State::Unavailable, Outcome::Fail(_)) => Self {
                against,
                ..Self::CHECKING
            },
        }
    }

    fn unhealthy(failure: Failure) -> Self {
        Self::new(State::Unhealthy, Some(Reason::CheckFailed(failure)))
    }
}

#[cfg(test)]
mod tests;
