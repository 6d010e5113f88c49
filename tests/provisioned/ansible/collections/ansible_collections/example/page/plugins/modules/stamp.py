"""A module of a collection: an empty file."""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(argument_spec={"path": {"type": "path", "required": True}})
    path = Path(module.params["path"])
    changed = not path.exists()
    path.touch()
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
