import yaml

from drumblender.originals.lightning1 import is_lightning_1, migrate_config


def old_config(**trainer):
    return {"trainer": {"gpus": None, "amp_backend": None, "strategy": None, "max_epochs": 3, **trainer}}


def test_every_key_that_lightning_2_refuses_is_dropped(golden):
    case = golden("drums", "config_migration")
    old = yaml.safe_load(str(case["in_yaml"]))
    assert is_lightning_1(old)
    for has_wandb, key in ((True, "out_removed_keys"), (False, "out_removed_keys_no_wandb")):
        new, removed = migrate_config(old, has_wandb=has_wandb)
        assert set(removed) == set(case[key].tolist())
        assert not is_lightning_1(new)
        assert "pytorch_lightning." not in yaml.safe_dump(new)


def test_settings_that_moved_are_carried_over():
    new, removed = migrate_config(
        old_config(gpus=2, replace_sampler_ddp=False, resume_from_checkpoint="a.ckpt", auto_lr_find=True)
    )
    assert new["trainer"]["devices"] == 2 and new["trainer"]["accelerator"] == "gpu"
    assert new["trainer"]["use_distributed_sampler"] is False
    assert new["ckpt_path"] == "a.ckpt"
    assert new["trainer"]["callbacks"] == [{"class_path": "lightning.pytorch.callbacks.LearningRateFinder"}]
    assert "trainer.strategy" in removed and new["trainer"]["max_epochs"] == 3


def test_the_first_kind_of_device_that_is_named_wins():
    new, _ = migrate_config(old_config(gpus=1, num_processes=1))
    assert (new["trainer"]["devices"], new["trainer"]["accelerator"]) == (1, "gpu")


def test_each_of_several_loggers_is_migrated():
    wandb = {"class_path": "pytorch_lightning.loggers.WandbLogger", "init_args": {"magic": 1, "name": "x"}}
    loggers = [wandb, {"class_path": "pytorch_lightning.loggers.TensorBoardLogger"}]
    new, _ = migrate_config(old_config(logger=loggers), has_wandb=False)
    assert [each["class_path"].rsplit(".", 1)[-1] for each in new["trainer"]["logger"]] == [
        "CSVLogger",
        "TensorBoardLogger",
    ]
    assert new["trainer"]["logger"][0]["init_args"]["name"] == "x"


def test_modules_that_moved_are_found():
    new, _ = migrate_config({"loss": {"class_path": "drumblender.loss.WeightedLoss"}})
    assert new["loss"]["class_path"] == "drumblender.losses.WeightedLoss"


def test_the_old_configuration_is_left_alone():
    old = old_config()
    migrate_config(old)
    assert old == old_config()


def test_a_new_configuration_is_not_taken_for_an_old_one():
    assert not is_lightning_1({"trainer": {"max_epochs": 3, "strategy": "auto"}})
