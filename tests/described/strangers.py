"""Calls an API as strangers would who know nothing but its description, with Schemathesis.

    strangers.py URL STAGE EXAMPLES SEED

STAGE is a file of JSON: names of things that there are, so that calls get somewhere. Ends with 1 and says what was wrong.
"""

import hashlib
import itertools
import json
import pathlib
import re
import sys
import tempfile
import urllib.request

import schemathesis
import schemathesis.cli
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import negative_data_rejection

URL, STAGE, EXAMPLES, SEED = sys.argv[1:5]
API = json.load(urllib.request.urlopen(f"{URL}/v1/openapi.json"))
REAL = json.loads(pathlib.Path(STAGE).read_text())
# What would end the node's usefulness, and streams that never end; tests/tests/described.rs calls these by themselves.
LEFT_OUT = ["device_leave", "links_set", "events_follow"]
PROBLEM = "application/problem+json"
NUMBERS = itertools.count()


def swap(name, value):
    """For some texts, the name of something that there is."""
    known = REAL.get(name)
    if not known or not isinstance(value, str):
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()
    return known[digest[1] % len(known)] if digest[0] % 4 else value


def swap_all(value, name=None):
    if isinstance(value, dict):
        return {key: swap_all(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [swap_all(item, name) for item in value]
    return swap(name, value)


@schemathesis.hook
def before_call(context, case, kwargs):
    # A key that another request was made under is refused with reason, each time: that is tried elsewhere.
    if "Idempotency-Key" in (case.headers or {}) and is_good(case):
        case.headers["Idempotency-Key"] = f"key-{next(NUMBERS)}"
    if not is_good(case):
        return
    if isinstance(case.path_parameters, dict):
        case.path_parameters = swap_all(case.path_parameters)
    if isinstance(case.query, dict):
        case.query = swap_all(case.query)
    if isinstance(case.body, (dict, list)):
        case.body = swap_all(case.body)
    # Nobody waits a minute for what is not there.
    if isinstance(case.body, dict) and isinstance(case.body.get("wait_ms"), int):
        case.body["wait_ms"] = min(case.body["wait_ms"], 20)
    if isinstance(case.query, dict) and isinstance(case.query.get("wait_ms"), int):
        case.query["wait_ms"] = min(case.query["wait_ms"], 20)


@schemathesis.deserializer("application/octet-stream")
def as_text(context, response):
    return response.content.decode("latin-1")


def is_good(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def description(case):
    """What is said of each status, and what no schema can say."""
    operation = API["paths"][case.path][case.method.lower()]
    shared = API["components"]["responses"]
    responses = {
        status: shared[response["$ref"].rsplit("/", 1)[1]] if "$ref" in response else response
        for status, response in operation["responses"].items()
    }
    return responses, operation.get("x-not-in-schema", [])


@schemathesis.check
def refusals_are_documented(context, response, case):
    """Each refusal is a problem whose code is documented; `invalid` for a good request only where no schema can say so."""
    if response.status_code < 400 or response.status_code == 405:
        return
    kind = response.headers.get("content-type", [""])[0]
    if not kind.startswith(PROBLEM):
        raise Failure(operation=case.operation.label, title="No problem", message=f"{response.status_code} as {kind}")
    problem = json.loads(response.content)
    documented, rules = description(case)
    codes = documented.get(str(response.status_code), {}).get("x-codes", [])
    if problem["code"] not in codes:
        raise Failure(
            operation=case.operation.label,
            title="Undocumented code",
            message=f"{response.status_code} {problem['code']}: {problem['detail']}",
        )
    field = problem.get("field", "")
    if is_good(case) and problem["code"] in ("invalid", "malformed_json", "not_json"):
        if not any(field == rule["field"] or re.match(re.escape(rule["field"]) + r"\b", field) for rule in rules):
            raise Failure(
                operation=case.operation.label,
                title="A good request is refused",
                message=f"{field}: {problem['detail']}",
            )


@schemathesis.check
def what_cannot_be_is_refused(context, response, case):
    """Schemathesis' own check, but where it has put the name of something real in the place of a bad one itself."""
    try:
        return negative_data_rejection(context, response, case)
    except Failure as failure:
        if "positive test case" not in failure.message:
            raise


def main():
    config = pathlib.Path(tempfile.mkdtemp()) / "schemathesis.toml"
    config.write_text("")
    left_out = itertools.chain.from_iterable(("--exclude-operation-id", name) for name in LEFT_OUT)
    arguments = [
        "--config-file", str(config),
        "run", f"{URL}/v1/openapi.json",
        "--url", URL,
        *left_out,
        "--phases", "examples,coverage,fuzzing",
        "--checks", "all",
        # In their places stand the checks above.
        "--exclude-checks", "positive_data_acceptance,negative_data_rejection",
        "--max-examples", EXAMPLES,
        "--seed", SEED,
        "--continue-on-failure",
        "--no-shrink",
        "--suppress-health-check", "all",
        "--generation-database", "none",
        "--no-color",
    ]  # fmt: skip
    schemathesis.cli.schemathesis.main(args=arguments, standalone_mode=True)


main()
