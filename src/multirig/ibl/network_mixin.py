"""A task that takes rigs along: iblrig's ``NetworkSession``, as a cooperative mixin over a base session.

The mixin holds no rule of the session: each of its steps is a method of the `Conductor`. What it adds is the
order in which a task meets them: the rigs agree before the task has a folder, they start when its hardware is
ready, they stop before anybody is asked anything, and they hear of whatever goes wrong.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multirig.conductor.leading import say_lost
from multirig.config import Uri
from multirig.errors import MultirigError
from multirig.ibl import alyx as alyx_tokens
from multirig.ibl import bases, description, task_transfer
from multirig.ibl.auxiliaries import Auxiliaries
from multirig.ibl.chosen_rigs import ChosenRigs, choose_rigs
from multirig.ibl.net.rigs import ExpInfo
from multirig.ibl.remote_services import RemoteService
from multirig.ibl.session_paths import find_date, stop_file, subjects_folder, take_number
from multirig.ibl.task_arguments import add_rig_options
from multirig.ibl.task_end import EndSignals, describe_error, reporting
from multirig.lifecycle.policy import RigPolicy
from multirig.lifecycle.watch import Noticed
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event
from multirig.protocol.words import Info
from multirig.record.timing import say_spread

_MIXIN_STEPS = ("start_hardware", "create_session")
"""What `run` of a base session does before the task itself."""

log = logging.getLogger("multirig.ibl")


class NetworkMixin:
    """Rigs for any base session: iblrig's own, or ours.

    Put it before the class that it extends::

        class Session(NetworkMixin, ChoiceWorldSession): ...

    Parameters
    ----------
    *_
        Handed on to the base session.
    remote_rigs : list of str or mapping of str to str, optional
        Names of rigs, looked up in the rigs file and nested at will, or a map of name to URI; in the order
        in which they are started.
    check_rigs : bool
        Whether disks, folders and devices of the rigs are looked at before a number is taken.
    take_over : bool
        Lead rigs also where another program leads them; while that is heard, they ask there first.
    **kwargs
        Handed on to the base session.

    Raises
    ------
    ConfigError
        A name that the rigs file does not hold; it lists those that it does.
    SessionFailed
        A rig that does not answer, or that cannot get ready. All are let go before.
    AgreementError
        No main sync, several, another subject, another date.

    Notes
    -----
    The order of a session: the constructor connects, and its ``init_mixin_network`` agrees and initialises;
    ``run`` starts the rigs when ``start_hardware`` and ``create_session`` have returned, directly before
    ``_run``, and stops them directly after it.
    """

    remote_rigs: Auxiliaries = Auxiliaries(None)
    """Talks to the rigs; to none before `connect`."""
    _chosen = ChosenRigs()
    rig_policies: Mapping[str, RigPolicy] = _chosen.policies
    """What the rigs mean to the session, by name, as the rigs file says it; for `connect`."""
    _signals = EndSignals()
    _is_told = False
    """Whether the rigs know of the error that ends the session."""
    takes_over: bool = False
    """Whether rigs that another conductor leads are taken over."""
    exp_ref: Any = None  # a plain attribute, in the place of iblrig's property, which cannot be set
    """``{'subject': str, 'date': datetime.date, 'sequence': int}``, as the main sync says; empty before."""
    _asked: Any = None
    """Which rigs were asked for, as they were given."""
    _is_made = False
    """Whether the constructor is done."""
    _error_around: BaseException | None = None
    """What whoever makes the session handles meanwhile."""
    if TYPE_CHECKING:  # what the base session has
        hardware_settings: Any
        iblrig_settings: Any
        paths: Any
        session_info: Any
        experiment_description: dict[str, Any]
        _run: Callable[[], Any]
        start_hardware: Callable[[], Any]
        _one: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let the rigs hear of it when a task's constructor, or run, fails outside of ours.

        Raises
        ------
        ConfigError
            A base session stands before the mixin.
        """
        super().__init_subclass__(**kwargs)
        bases.check_bases(cls, NetworkMixin)
        bases.watch_methods(cls, NetworkMixin._abandon)

    def __init__(
        self,
        *_: Any,
        remote_rigs: Any = None,
        check_rigs: Any = True,
        take_over: Any = False,
        **kwargs: Any,
    ) -> None:
        self._checks = bool(check_rigs)
        self.takes_over = self.takes_over or bool(take_over)
        self.exp_ref = {}
        self.rig_information: dict[str, Info] = {}
        """What each rig said of itself, by name."""
        self._token = alyx_tokens.SentToken()
        self._signals = EndSignals()
        self._failure: MultirigError | None = None
        self._appends = bool(kwargs.get("append"))
        self._asked = remote_rigs
        self._error_around = sys.exc_info()[1]
        with reporting(self._abandon):
            super().__init__(*_, **kwargs)
            self._check_led()
            self._describe_rigs()
        self._is_made = True

    # -- IBL's members ----------------------------------------------------------------------------------

    @classmethod
    def extra_parser(cls) -> argparse.ArgumentParser:
        """Return the base session's parser with ``--remote``, repeatable, several names each."""
        parser: argparse.ArgumentParser = super().extra_parser()  # type: ignore[misc]  # the base session's
        add_rig_options(parser)
        return parser

    def connect(self, remote_rigs: Mapping[str, str | Uri] | None) -> None:
        """Find the rigs' addresses and open the conversation; `remote_rigs` is it from then on.

        Parameters
        ----------
        remote_rigs : mapping of str to str
            Name of each rig and its URI.
        """
        self.remote_rigs = Auxiliaries(
            remote_rigs,
            policies=self.rig_policies,
            clock_gate=self._chosen.clock_gate,
            tell=lambda line: self._log.warning("%s", line),
        )
        if remote_rigs:
            self._signals.heed()
            self.remote_rigs.on_notice(self._heed)
            self.remote_rigs.services.assign_callback("ALYX", self._take_token, return_service=True)

    def communicate(self, message: Any, *args: Any, raise_on_exception: bool = True) -> Any:
        """Send a message to all rigs and wait for their responses.

        Parameters
        ----------
        message : ExpMessage, str or int
            Ours or iblutil's.
        *args
            What goes with it.
        raise_on_exception : bool
            Clean up the rigs and raise when not all of them respond in time, or one cannot do it; otherwise
            the exception is returned.

        Returns
        -------
        dict of str to list, or Exception
            Each rig's response: what its message holds besides the event.

        Raises
        ------
        SessionFailed
            Names each rig and what kept it; also a TimeoutError where one did not respond in time.
        """
        try:
            return self.remote_rigs.push(message, *args, wait=True)
        except MultirigError as error:
            self._log.error("%s", error)
            if not raise_on_exception:
                return error
            self.cleanup_mixin_network()
            raise

    def get_exp_info(self) -> dict[str, Any]:
        """Return what the rigs are told of the experiment.

        Returns
        -------
        dict
            ``exp_ref``, ``main_sync``, ``experiment_description``, ``master``, ``rig_version``,
            ``spec_version``.
        """
        is_main_sync = self._is_main_sync
        return ExpInfo(
            exp_ref=str(ExpRef.parse(self.exp_ref)) if self.exp_ref else None,
            main_sync=is_main_sync,
            experiment_description=dict(getattr(self, "experiment_description", None) or {}),
            master=is_main_sync,
        ).to_dict()

    @property
    def one(self) -> Any:
        """An instance of ONE: the base session's, or one in local mode; it takes the token that a rig sends.

        Raises
        ------
        ConfigError
            ONE is not installed; the message names the extra.
        """
        one = getattr(super(), "one", None)
        if one is None:
            if getattr(self, "_one", None) is None:
                self._one = alyx_tokens.local_one()
            one = self._one
        self._token.use(one)
        return one

    def mark(self, text: str, /, **data: Any) -> float:
        """Set a marker, for now: it goes into the journal, and to all rigs that are multirigs.

        Nothing is waited for and nothing is raised, so that a task may call it in the middle of a trial. What
        a marker cannot hold is shortened or converted, with a warning; outside of the recording it is left
        out, with a warning. Without rigs it only tells the time.

        Parameters
        ----------
        text : str
            What has happened, in one line of at most 300 characters.
        **data
            More on it, 8 kB in all: numbers, text, lists, arrays, key: value; anything else becomes text.

        Returns
        -------
        float
            When it was set: seconds on the session clock, this PC's ``time.perf_counter()``.
        """
        if not self.remote_rigs.is_running:
            return time.perf_counter()
        try:
            return self.remote_rigs.mark(text, **data)
        except MultirigError as error:
            self._log.warning("%s", error)
            return time.perf_counter()

    # -- the steps, as a base session calls them --------------------------------------------------------

    def init_mixin_network(self) -> None:
        """Agree with all rigs on subject and number, and let them get ready.

        Raises
        ------
        AgreementError, SessionFailed
            Nobody has been touched, or all have been let go.
        """
        if not self.remote_rigs.is_running:
            return
        if allowed := self._chosen.may_have_token:
            one = getattr(super(), "one", None)
            self.remote_rigs.share_token(None if one is None or one.offline else one.alyx, allowed)
        network: Any = self._own_network or NetworkMixin  # iblrig's would want a number here
        base: Any = super(network, self)
        paths = base._init_paths(self._appends)  # only looked at: nothing is made
        subject = self.session_info["SUBJECT_NAME"]
        exp_ref, self.rig_information = self.remote_rigs.agree(
            subject,
            date=find_date(self.session_info),
            info=self.get_exp_info() | {"subject": subject},
            subjects=subjects_folder(paths),
            main_sync=self._is_main_sync,
            appends=self._appends,
            takes_over=self.takes_over,
            checks=self._checks,
        )
        self.exp_ref = {"subject": exp_ref.subject, "date": exp_ref.date, "sequence": exp_ref.sequence}
        self.session_info["SESSION_NUMBER"] = exp_ref.sequence
        self._log.info("the session is %s on %s", exp_ref, ", ".join(self.remote_rigs.services))
        self._note_parts(self.communicate("EXPINIT", {"exp_ref": str(exp_ref)}))

    def start_mixin_network(self) -> None:
        """Let every rig record; nothing happens where that is done already, or there are none.

        Raises
        ------
        SessionFailed
            A rig could not; all have been stopped and let go.
        """
        if self._expects(Event.EXPSTART):
            self._note_parts(self.communicate("EXPSTART", str(ExpRef.parse(self.exp_ref))))
            session = self.remote_rigs.conductor.current
            if session is not None and (spread := session.start_spread) is not None:
                self._log.info("%s", say_spread(spread, "started"))

    def stop_mixin_network(self) -> None:
        """End the recording on every rig; one that is sick does not hold up the others.

        Raises
        ------
        SessionFailed
            Names the rigs of which it is not known what they recorded.
        """
        if self._expects(Event.EXPEND):
            self.remote_rigs.push("EXPEND", wait=True)

    def cleanup_mixin_network(self) -> None:
        """Let all rigs go and end the conversation; safe to call at any time and twice."""
        error = None if self._is_made else sys.exc_info()[1]
        if error is not None and error is not self._error_around:
            self._tell(error)  # iblrig's constructor lets go of the rigs before the error has come to ours
        if self.remote_rigs.is_running:
            try:
                if self._expects(Event.EXPCLEANUP):
                    self.remote_rigs.push("EXPCLEANUP", wait=True)
            except MultirigError as error:
                self._log.error("%s", error)
            finally:
                self.remote_rigs.close()
                task_transfer.send_records(self)
        self._signals.give_back()

    # -- a session --------------------------------------------------------------------------------------

    def run(self) -> Any:
        """Run the session, and tell the rigs of whatever ends it.

        Raises
        ------
        SessionFailed
            The task is done, but a rig could not stop in good order, or an essential one was lost; what the
            task saved is on the disk.
        MultirigError
            The session has been run before, and its rigs were let go.
        """
        bases.refuse_again(self)
        try:
            with reporting(self._abandon):
                self._watch_steps()
                result = super().run()  # type: ignore[misc]  # the base session's
                self._check_started()
        finally:
            for name in (*_MIXIN_STEPS, "_run", "start_mixin_network"):
                vars(self).pop(name, None)
            self.cleanup_mixin_network()
        if self._failure is not None:
            raise self._failure
        return result

    def _watch_steps(self) -> None:
        """Let the base session's run take ours along, step by step."""
        for name in _MIXIN_STEPS:
            setattr(self, name, reporting(self._tell)(getattr(self, name)))
        task = self._run
        self._run = lambda: self._record(task)
        if self._own_network is not None:  # it starts the rigs before there is hardware
            self.start_mixin_network = lambda: None  # type: ignore[method-assign]
            self.start_hardware = self._beginning(self.start_hardware)

    def _beginning(self, start_hardware: Callable[[], Any]) -> Callable[[], Any]:
        """Return what starts the hardware, from which on the task may start its rigs itself."""

        def begin() -> Any:
            vars(self).pop("start_mixin_network", None)
            return start_hardware()

        return begin

    def _record(self, task: Callable[[], Any]) -> None:
        """Do the task while the rigs record: once the hardware is ready, before anybody is asked anything."""
        with reporting(self._tell):  # at once: before whatever the base session does then
            self.start_mixin_network()
            task()
        try:
            self.stop_mixin_network()
        except MultirigError as error:  # the task is done and its data are to be saved first
            self._log.error("%s", error)
            self._failure = error
        if (lost := self.remote_rigs.lost) is not None:
            self._failure = say_lost(lost)

    def _heed(self, noticed: Noticed) -> None:
        """Let the task end in good order, as its operator would, once an essential rig is lost."""
        if self.remote_rigs.lost is noticed:
            self._log.error(
                "%s is essential: the rigs are interrupted, and the task is asked to end", noticed.rig
            )
            stop_file(self.paths).touch()

    def _tell(self, error: BaseException) -> None:
        """Interrupt the rigs, once, and say why."""
        if self._is_told or not self.remote_rigs.is_leading:
            return  # nobody was touched, and whoever records does so for somebody else
        self._is_told = True
        conductor = self.remote_rigs.conductor
        is_short = not all(conductor.can_report(name) for name in conductor.rigs)
        try:
            self.remote_rigs.push("EXPINTERRUPT", describe_error(error, is_short=is_short), wait=True)
        except MultirigError as failure:
            self._log.error("the rigs could not all be told of the error: %s", failure)

    def _abandon(self, error: BaseException) -> None:
        """Tell the rigs what went wrong and let them go."""
        self._tell(error)
        self.cleanup_mixin_network()

    # -- where it lies, and what is written down --------------------------------------------------------

    def _init_paths(self, append: bool = False) -> Any:
        """Return the base session's paths, under the number that the main sync gave."""
        paths = super()._init_paths(append)  # type: ignore[misc]  # the base session's
        if not self.exp_ref:
            return paths
        exp_ref = ExpRef.parse(self.exp_ref)
        take_number(paths, exp_ref, append=append)
        self.session_info["SESSION_NUMBER"] = exp_ref.sequence
        return paths

    def create_session(self) -> None:
        """Make the session's folder as the base session does, and describe all PCs beside it.

        The base session writes of this PC alone, as IBL's copiers need it: they look for each collection that
        is described.
        """
        parts = [info.experiment_description for info in self.rig_information.values()]
        with task_transfer.creating(self, parts):
            super().create_session()  # type: ignore[misc]  # the base session's

    def _describe_rigs(self) -> None:
        """Put the rigs, and each one's own part, into the experiment description.

        Raises
        ------
        ConfigError
            Two of them claim the sync.
        """
        if not self.remote_rigs.clients:
            return
        self.experiment_description = description.describe_rigs(
            self.experiment_description, self.rig_information, self.remote_rigs.clients
        )

    def _make_task_parameters_dict(self) -> dict[str, Any]:
        """Return what the settings file holds: the base session's, the rigs and the reference."""
        settings: dict[str, Any] = super()._make_task_parameters_dict()  # type: ignore[misc]
        settings["REMOTE_RIGS"] = self.remote_rigs.clients
        settings["EXP_REF"] = str(ExpRef.parse(self.exp_ref)) if self.exp_ref else None
        return settings

    def _note_parts(self, responses: Mapping[str, Sequence[Any]]) -> None:
        """Take each rig's part of the description from what it answers, which iblrig's cameras do late."""
        if description.take_parts(self.rig_information, responses) and self._is_made:
            try:
                self._describe_rigs()
                description.write_beside(self.paths["SESSION_FOLDER"], self.experiment_description)
            except MultirigError as error:  # the rigs record already
                self._log.error("%s", error)

    # -- inside -----------------------------------------------------------------------------------------

    def _execute_mixins_shared_function(self, pattern: str) -> None:
        """Connect before any mixin is made ready; the settings say by then where rigs are listed."""
        if pattern == "init_mixin":
            self._chosen = choose_rigs(self._asked, self.iblrig_settings)
            self.rig_policies = self._chosen.policies
            self.connect(self._chosen.uris)
        super()._execute_mixins_shared_function(pattern)  # type: ignore[misc]  # the base session's

    def _check_led(self) -> None:
        """Raise ConfigError where rigs were asked for, and the base session has led none."""
        if not self.exp_ref:
            bases.refuse_unled(type(self), self._asked)

    def _check_started(self) -> None:
        """Raise where the base session has run, and not in a way that starts the rigs."""
        if bases.waits_for_its_start(self.remote_rigs):
            raise MultirigError(
                f"{', '.join(self.remote_rigs.clients)}: no rig has recorded, because the run of "
                f"{type(self).__name__} does not call self._run(), from which the rigs are started"
            )

    @property
    def _own_network(self) -> type | None:
        """The network that a base session brings along, which is stepped over."""
        return bases.find_own_network(type(self), NetworkMixin)

    @property
    def _log(self) -> logging.Logger:
        return getattr(self, "logger", None) or getattr(self, "_logger", None) or log

    @property
    def _is_main_sync(self) -> bool:
        return bases.is_main_sync(self.hardware_settings)

    def _expects(self, event: Event) -> bool:
        session = self.remote_rigs.conductor.current if self.remote_rigs.is_running else None
        return session is not None and session.expects(event)

    def _take_token(self, data: list[Any], _: Any, service: RemoteService) -> None:
        """Take the Alyx token that a rig sends; it is used when `one` is."""
        objection = self._token.put(data, getattr(self, "iblrig_settings", {}), service.name)
        if objection is not None:
            self._log.warning("%s", objection)
