"""Owns the deadlines of a data subject's request: the policy's 30 days and the law's clocks, counted in days."""

from datetime import date, timedelta
from typing import Annotated

from pydantic import Field

from lotpro_policy.period import months_after
from lotpro_policy.record import Record

SATURDAY = 5

PositiveInt = Annotated[int, Field(gt=0)]


class Clocks(Record):
    """The deadlines as numbers; each method counts from the day the request (and, where asked, proof of identity) came.

    Sources: the policy, section 6 ("within 30 days"); GDPR Article 12(3) (one month, two more when extended);
    California Code of Regulations, title 11, 7021 (10 business days to confirm, 45 days to answer) and 7101 (records
    for 24 months, which is the retention key privacy_case_evidence).
    """

    policy_answer_days: PositiveInt
    gdpr_answer_months: PositiveInt
    gdpr_extension_months: PositiveInt
    ccpa_acknowledge_business_days: PositiveInt
    ccpa_answer_days: PositiveInt
    erasure_execute_days: PositiveInt
    account_closure_undo_days: PositiveInt
    #: Days before an inactive account is anonymised on which its owner is warned; ours, the policy promises none.
    inactivity_warning_days: tuple[PositiveInt, ...]

    def answer_due(self, received: date) -> date:
        """The last day to answer: the sooner of the policy's 30 days and one calendar month."""
        return min(received + timedelta(days=self.policy_answer_days), months_after(received, self.gdpr_answer_months))

    def extended_answer_due(self, received: date) -> date:
        """The last day to answer once extended; reasons must have been sent by `answer_due`."""
        return months_after(received, self.gdpr_answer_months + self.gdpr_extension_months)

    def erasure_due(self, received: date) -> date:
        """The day by which an erasure is executed, which leaves time to verify it before the answer is due."""
        return received + timedelta(days=self.erasure_execute_days)

    def ccpa_acknowledge_due(self, received: date) -> date:
        """The last day to confirm receipt to a Californian: business days, weekends left out."""
        day, left = received, self.ccpa_acknowledge_business_days
        while left:
            day += timedelta(days=1)
            if day.weekday() < SATURDAY:
                left -= 1
        return day

    def ccpa_answer_due(self, received: date) -> date:
        """The last day that California's law would allow; the policy's own deadline comes first."""
        return received + timedelta(days=self.ccpa_answer_days)

    def closure_undo_until(self, requested: date) -> date:
        """The last day on which a member can take back the closing of the account."""
        return requested + timedelta(days=self.account_closure_undo_days)
