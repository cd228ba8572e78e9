"""Every YAML of main/configs: it loads, it holds differences alone, and its head is a lab note."""

import json
import re

import pytest

import command_line
import config as main_config
from poseras.settings import flatten, read_differences
from poseras.systems import options_module

NAMES = main_config.config_names()


def head_of(name: str) -> str:
    """The comment before the first setting, without its marks."""
    lines = (main_config.CONFIG_FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(line.removeprefix("#").strip() for line in lines[:first])


def test_there_are_configs_and_the_default_is_one_of_them():
    assert main_config.DEFAULT_CONFIG in NAMES


def test_every_file_of_the_folder_is_a_config():
    strange = [p.name for p in main_config.CONFIG_FOLDER.iterdir() if p.suffix != ".yaml"]
    assert not strange


@pytest.mark.parametrize("name", NAMES)
def test_config_loads_and_builds_the_options_of_its_system(name):
    config = main_config.load_config(name)
    assert config.run == name
    assert isinstance(config.options, options_module(config.system).Options)
    assert main_config.build_config(json.loads(json.dumps(flatten(config)))) == config


@pytest.mark.parametrize("name", NAMES)
def test_config_holds_differences_alone(name):
    differences = read_differences(main_config.CONFIG_FOLDER / f"{name}.yaml")
    assert "system" in differences, "a config names its system first"
    usual = flatten(main_config.build_config({"system": differences["system"]}))
    # The view follows the options, so it is compared with what it would be without view settings.
    own_view = {k: v for k, v in differences.items() if not k.startswith("view.")}
    usual |= {k: v for k, v in flatten(main_config.build_config(own_view)).items() if "view." in k}
    config = flatten(main_config.load_config(name))
    repeated = [key for key in differences if key != "system" and config[key] == usual[key]]
    assert not repeated


@pytest.mark.parametrize("name", NAMES)
def test_head_comment_gives_command_time_and_score(name):
    head = head_of(name)
    command = re.search(r"^python main/train\.py.*$", head, re.MULTILINE)
    assert command, "the head comment gives no training command"
    tested = re.search(r"^python main/test\.py.*$", head, re.MULTILINE)
    assert tested, "the head comment gives no test command"
    for line in (command[0], tested[0]):
        assert f"--config {name}" in f"{line} " or (
            name == main_config.DEFAULT_CONFIG and "--config" not in line
        )
    assert re.search(r"^Time: ", head, re.MULTILINE) and re.search(r"^Score: ", head, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_of_the_head_comment_are_understood(name):
    parsers = {"train": command_line.train_parser(), "test": command_line.test_parser()}
    commands = re.findall(r"^python main/(train|test)\.py (.*)$", head_of(name), re.MULTILINE)
    assert commands
    for program, text in commands:
        arguments = command_line.parse_arguments(parsers[program], text.split())
        assert main_config.load_config(arguments.config, arguments.set).run == name
