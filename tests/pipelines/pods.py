"""Runs a compiled pipeline as KFP's backend does: each step in a pod of its own.

A step gets what its pod would get and nothing else: an empty home, the environment of the image and of the Secrets
that the IR names, the settings file of the ConfigMap that it mounts, and its inputs from the object store. What it
does not hand on through the object store is gone when it ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IMAGE_CONFIG = "/etc/plumbline/plumbline.yaml"
"""What PLUMBLINE_CONFIG says in the image."""


@dataclass
class Pods:
    """A namespace.

    Attributes:
        folder: Where the pods' file systems lie while they run.
        client: S3 client of the store that artefacts are carried through.
        bucket: Its bucket.
        secrets: Secrets by name.
        config_maps: ConfigMaps by name: file name -> text.
        ran: Steps that have ended well, in their order.
    """

    folder: Path
    client: Any
    bucket: str
    secrets: Mapping[str, Mapping[str, str]]
    config_maps: Mapping[str, Mapping[str, str]]
    ran: list[str] = field(default_factory=list)

    def run(self, specifications: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
        """Runs a pipeline to its end.

        Args:
            specifications: `pipeline_spec` and `platform_spec` of a submission.
            arguments: Values of the pipeline's parameters.
        """
        spec = specifications["pipeline_spec"]
        platform = specifications["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        defaults = {
            name: parameter["defaultValue"]
            for name, parameter in spec["root"]["inputDefinitions"]["parameters"].items()
            if "defaultValue" in parameter
        }
        outputs: dict[str, dict[str, Any]] = {}
        tasks = dict(spec["root"]["dag"]["tasks"])
        while tasks:
            name = next(task for task, body in tasks.items() if set(body.get("dependentTasks", ())) <= set(outputs))
            task = tasks.pop(name)
            component = spec["components"][task["componentRef"]["name"]]
            container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
            inputs = _parameters(task, {**defaults, **arguments}, outputs)
            outputs[name] = self._pod(
                name, component, container, platform[component["executorLabel"]], inputs, _artifacts(task, outputs)
            )
            self.ran.append(name)

    def _pod(
        self,
        name: str,
        component: Mapping[str, Any],
        container: Mapping[str, Any],
        kubernetes: Mapping[str, Any],
        parameters: Mapping[str, Any],
        artifacts: Mapping[str, str],
    ) -> dict[str, Any]:
        root = self.folder / name
        for folder in ("home", "tmp", "artifacts"):
            (root / folder).mkdir(parents=True)
        given = {key: self._download(uri, root / "artifacts" / key) for key, uri in artifacts.items()}
        defined = component.get("outputDefinitions", {})
        made = {key: root / "artifacts" / key for key in defined.get("artifacts", {})}
        types = {**component.get("inputDefinitions", {}).get("artifacts", {}), **defined.get("artifacts", {})}
        result = root / "outputs.json"
        executor_input = {
            "inputs": {"parameterValues": dict(parameters), "artifacts": _described(given, types)},
            "outputs": {
                "parameters": {key: {"outputFile": str(root / key)} for key in defined.get("parameters", {})},
                "artifacts": _described(made, types),
                "outputFile": str(result),
            },
        }
        words = [*container["command"], *container["args"]]
        done = subprocess.run(
            [word.replace("{{$}}", json.dumps(executor_input)) for word in words],
            cwd=root,
            env=self._environment(root, kubernetes),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
        written = json.loads(result.read_text()) if result.is_file() else {}
        uris = {key: self._upload(path, f"{name}/{key}") for key, path in made.items()}
        shutil.rmtree(root)
        return {"parameters": written.get("parameterValues", {}), "artifacts": uris}

    def _environment(self, root: Path, kubernetes: Mapping[str, Any]) -> dict[str, str]:
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
            "HOME": str(root / "tmp"),
            "TMPDIR": str(root / "tmp"),
            "PLUMBLINE_HOME": str(root / "home"),
        }
        for secret in kubernetes.get("secretAsEnv", ()):
            for key in secret["keyToEnv"]:
                environment[key["envVar"]] = self.secrets[secret["secretName"]][key["secretKey"]]
        for mount in kubernetes["configMapAsVolume"]:
            for file, text in self.config_maps[mount["configMapName"]].items():
                if f"{mount['mountPath']}/{file}" == IMAGE_CONFIG:
                    (root / file).write_text(text)
                    environment["PLUMBLINE_CONFIG"] = str(root / file)
        return environment

    def _upload(self, path: Path, key: str) -> str:
        prefix = f"kfp/artifacts/{key}"
        for file in [path] if path.is_file() else path.rglob("*"):
            if file.is_file():
                name = prefix if file == path else f"{prefix}/{file.relative_to(path)}"
                self.client.upload_file(str(file), self.bucket, name)
        return prefix

    def _download(self, prefix: str, target: Path) -> Path:
        for item in self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", []):
            file = target / item["Key"].removeprefix(prefix).lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            self.client.download_file(self.bucket, item["Key"], str(file))
        return target


def _parameters(
    task: Mapping[str, Any], arguments: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, source in task.get("inputs", {}).get("parameters", {}).items():
        if "componentInputParameter" in source:
            values[name] = arguments[source["componentInputParameter"]]
        elif "taskOutputParameter" in source:
            place = source["taskOutputParameter"]
            values[name] = outputs[place["producerTask"]]["parameters"][place["outputParameterKey"]]
        else:
            values[name] = source["runtimeValue"]["constant"]
    return values


def _artifacts(task: Mapping[str, Any], outputs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    sources = task.get("inputs", {}).get("artifacts", {})
    places = {name: source["taskOutputArtifact"] for name, source in sources.items()}
    return {
        name: outputs[place["producerTask"]]["artifacts"][place["outputArtifactKey"]] for name, place in places.items()
    }


def _described(paths: Mapping[str, Path], types: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"artifacts": [{"name": name, "uri": str(path), "type": types[name]["artifactType"], "metadata": {}}]}
        for name, path in paths.items()
    }
