# ruff: noqa: E501, SIM905  (word lists and patterns are read as units)
"""Word lists that the name rules stand on: surnames, characters of given names, words that look like names.

Guarantee: plain constants, written for this product. They are deliberately short: what they miss is stated by the
measured recall, not hidden.
"""

SURNAMES = frozenset(
    "楼祖漆相玉官王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖萧田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付傅"
    "方邹熊白孟秦邱侯江尹薛闫阎雷段史龙陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤赖施牛葛康樊邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申耿关兰焦俞左柳甘祝包"
    "宁尚符舒阮柯纪梅童凌毕单裴霍成苗谷盛曲冉骆温路游辛靳管柴涂欧席缪褚娄窦鲍华沙屈欧穆滕尤蓝卓池党喻桑麻文解芦卞车司费边房项古应米晏仇景鄢"
    "嵇佟栾戚艾娜敖瞿邬隋苑迟奚臧巫仲麦宫荆祁巩揭满冷苟桂杭刁荣阳简竺季诸卜郁练虞庹茅佘官寇闵闻权伊羊匡惠甄封仝宗鹿粟阚"
    "皮井练谌况储楚强濮岑翁蒲柏隆宣邝骆衡贝储郜邸冼鞠区胥卿帅丘晁丛查尉花"
)
"""Single-character surnames that occur in practice."""

RARE_SURNAMES = frozenset(
    "楼相玉官祖"
    "于由成党居巩原国海明和平来全花官商皮干居满查费区帅初占封宗隆单解华麻文车边房项古应米计尚成向关路安常万包宁金白高方康武左路席管童温游党沙贝"
)
"""Surnames that are also everyday words: a name needs more around it when it begins with one."""

OLD_SURNAMES = frozenset(
    "束幸韶蓟薄印宿怀从索咸籍蔺阴能苍双莘贡劳逄姬扶堵宰郦雍璩寿通扈冀郏浦农别慕连茹习宦鱼慎戈庾终暨步都弘禄阙东殳沃利越夔隆师厍勾融訾那饶空毋乜养须巢蒯后红逯盖益桓公"
    "操和国占来原全平明初计商干居海仰"
)
"""Further names of the Hundred Family Surnames: taken only where a label says that a name follows."""

COMPOUND_SURNAMES = frozenset(
    "欧阳 上官 司马 诸葛 东方 皇甫 令狐 公孙 慕容 尉迟 长孙 夏侯 宇文 轩辕 司徒 独孤 南宫 端木 百里 呼延 东郭 西门 钟离 闻人 公羊 澹台 公冶 宗政 濮阳 淳于 "
    "单于 太叔 申屠 仲孙 鲜于 闾丘 司空 亓官 子车 拓跋 公良 左丘 第五 纳兰 完颜 叶赫 爱新".split()
)

GIVEN_STRONG = frozenset(
    "兵畅柳伟刚勇毅俊峰军辉健志祥彬杰涛浩亮政谦哲翰朗宏鸣朋斌栋维翔旭鹏泽晨辰炎琛钧楠榕弘磊超豪邦绍松庆震振彪博坚茂岩昌胜贵福龙波义良仁裕轩睿烁威彦洋宇"
    "忠逸贤恒鸿桦骅剑锋凯帆帅帆浚淼鑫森焱垚霖坤煜烨炜灿铭锐铮钊铠锦钰瑜瑾琪琦瑞瑶璐珊琳玲珍珠琴瑛璇珏秀娟英慧巧娜静淑惠翠雅芝玉萍娥芬芳燕菊兰凤"
    "洁梅素莲霞艳琼勤贞莉桂娣璧娅晶妍茜莎黛倩婷姣婉娴颖怡婵雁蓓纨蓉薇菁梦岚婕馨瑗琰韵咏卿澜毓悦昭冰琬茗羽希欣滢馥筠柔霭凝晓霄枫芸菲宜舒荔丽妮梵"
    "娇媚晴雯苇萱阅曼紫菡翊琨喆晗涵梓诺沐瑄妤彤昕皓奕煊懿淇汐潇瑀璟宸灏钦骏骁骞勋尧舜禹迪楷桐柏桓梧槐榆樱杏蕾蕊莹荣萌苒茵荷蔓蓓薏"
    "娉婧媛嫣嫦姝姗妙妞姿娆娇嬿丹红云雪霜露雨月阳春夏秋冬青岭川江洲淮渝泓泉清淳湘沛润溪滨潮澄灵玫"
    "敏惟恺恬悠愉慷懋憬怀忱杨林桥朴树柱梁棠"
)
"""Characters that stand in given names far more often than in everyday text."""

GIVEN_WEAK = frozenset(
    "强平保东文力明永世广兴海山宁生元全国学才武新利飞富顺信子成康星光天达安中进有和诚先敬壮思群心承乐功善厚民友河江奇固之伯言若启克伦士以建家致德"
    "时泰盛雄冠策腾风航华美英香爱妹真环珍凡佳嘉叶露园艺纯育影枝宝贝初程可亚儿小大一如意莹彩仪君金银铜石玛尔亦尹尔乃也凌立书诗画琴棋景宽容唯堂颂希"
    "传宗祖耀根水火木土长久远正直方圆高原野田禾苗谷丰满全胜超越跃进步升腾达通顺贵发财旺来喜庆欢乐安康健美好百千万亿兆三四五六七八九十双连翼阔沛谊"
    "义礼智勇廉孝悌忠恕宽敏惠温让恭俭世纪朝代晋唐宋元汉秦楚齐鲁燕赵魏韩吴越蜀开延年寿鹤松柏竹菊龙虎豹麟凤凰雁鹰燕蝶萤日月星辰光辉虹霓云霞雷电风雨"
    "然其里雁伊依仙佑佐俐俪倚侠傲儒元兆先克兰典冲凌凡列则前力务化北南西卉卫印厉双可史右叶合吉同名向君吟含听呈周咪品员哥唐善嘉园圆坦域城培基境墨士声夏夕外多夜"
)
"""Characters that do stand in given names, and everywhere else too."""

NEVER_GIVEN = frozenset(
    "也已便像每各另该此并且及之使按照据代取领赔补催约选的了着过是我你您他她它们吗呢吧啊呀哦嗯噢嘛哈么就都还很太又再没不未到从把被让跟往与或但因所这那哪个些什怎谁几只能要想用买卖货收送寄退换款订单付钱价"
    "格快递物流服师傅老板请谢说问打电话号码址店件箱包装坏破损错给叫查找等看听吃喝穿戴拿放取签发下上里外前后左右边间会员卡券分积改写填更帮忙告诉知道回复"
    "态度耐解答热情专业推荐负责处理投诉催催加微信备注颜色尺寸裤裙衣鞋帽袜袋盒瓶罐台块斤两条双对套袋片色质量差烂旧脏臭味咸辣酸甜苦"
    "地区路街巷弄栋幢室楼层市县镇乡村省州旗盟您咱俺拆验试跑站车票机屏充线键盘吵闹哭笑走坐躺睡醒住开关修维护损漏洞痛病药医院"
)
"""Characters that do not stand in given names; seen after a surname they end the name or refuse it."""

FOLLOWERS = frozenset(
    "态度 服务 耐心 特别 非常 真的 真是 已经 今天 明天 昨天 刚才 刚刚 安装 维修 推荐 负责 解答 处理 回复 介绍 讲解 及时 热情 专业 师傅 先生 女士 小姐 电话 "
    "手机 快递 订单 地址 同学 老师 经理 主任 医生 大夫 阿姨 叔叔 一直 一下 也是 可以 没有 不是 本人 客服 店长 买的 下单 拍的 名下 账号 帐号 会员 生日 帮我 "
    "早上 上午 中午 下午 晚上 先后 全程 亲自 特意 专门 最后 马上 立刻 现在 之前 以前 当时 和我 和她 和他 的话 这个 那个 身份 证件 住址 性别 年龄 出生 护照 "
    "银行 微信 邮箱 联系 收到 签收 代收 转账 支付 退款 投诉 表示 说话 说明 解释 告知 答应 承诺 同意 拒绝 有事 有没 能不 是否 什么 怎么 为什 哪里 需要 应该 "
    "希望 想要 打算 准备 申请 要求 预约 预订 购买 付款 办理 登记 注册 实名 认证 开户 名字 一家 一起 家里 家的 女儿 儿子 妈妈 爸爸 先前 很好 很棒 人很 超级 十分 "
    "太好 挺好 真好 真棒 大哥 大姐 小哥 小姐姐 哥哥 姐姐 弟弟 妹妹 天天 每天 每次 尽快 赶紧 及时 按时 速回 加急 优先".split()
)
"""What follows a name in a sentence; its first character is then no part of the name."""

NOT_NAMES = frozenset(
    "高兴 高跟 高端 高级 高度 高铁 高温 高清 高档 高低 高中 高三 高二 高一 高考 高效 高压 高原 高速 马上 马丁 马桶 马路 马甲 马来 马虎 方便 方面 方式 方法 方案 方向 方形 方太 包装 包邮 包括 包裹 包包 "
    "安装 安全 安排 安卓 安踏 安静 安心 安慕 白色 白天 白条 白酒 白菜 白金 白银 白衬 白象 黄色 黄金 黄桃 黄油 黄瓜 黄山 黄河 黄牛 金色 金卡 金额 金属 金属 金龙 金典 金牌 金融 时间 时候 活动 曾经 曾在 于是 成功 成分 成人 "
    "成本 成品 成都 成员 全部 全程 全家 全国 全新 全是 全都 全套 任何 任务 任天 许多 许久 何时 何况 何必 程序 程度 尚未 尚可 温度 温柔 温馨 温暖 温和 温州 平时 平台 平常 平安 平均 平板 常见 常用 常温 常常 常州 和平 江南 "
    "江苏 江西 江小 江中 石头 石榴 石油 石家 花费 花了 花园 花生 花色 关于 关门 关闭 关系 关键 关心 关注 单子 单号 单独 单品 单元 单价 单位 单身 强烈 强大 强制 强调 双方 万一 万和 万科 万能 莫名 莫非 支付 支持 解决 解释 解除 解答 "
    "应该 应用 应急 计划 计算 计较 项链 项目 康师 老师 农夫 钱包 钱款 钱的 费用 费劲 费力 水果 文件 文字 文化 文艺 文胸 牛奶 牛仔 牛肉 牛皮 牛油 牛逼 牛排 米粉 米饭 米色 米线 左右 左边 左手 房间 房子 房东 连衣 连接 连续 连锁 游戏 "
    "游泳 游客 古代 古典 古筝 古风 雷同 雷神 雷朋 习惯 皮鞋 皮带 皮肤 皮包 皮质 明天 明显 明星 明明 明细 明年 明确 卫生 卫衣 麦片 麻烦 麻辣 麻酱 申请 申通 申诉 原来 原价 原因 原装 原味 原本 易碎 易坏 易燃 东西 东方 简单 简直 简易 "
    "空调 曲线 曲奇 终于 满意 满减 满足 满分 越来 商品 商家 商城 商店 海鲜 海尔 海南 海苔 海报 海澜 海底 舒服 舒适 舒肤 夏天 夏季 夏装 夏普 苏打 苏泊 苏宁 苏州 范围 范文 毛衣 毛巾 毛病 毛利 毛绒 毛毯 毛笔 毛线 康复 元旦 宋代 庞大 熊猫 "
    "纪念 纪录 屈臣 董事 杜绝 杜蕾 蓝色 蓝牙 蓝莓 蓝月 席子 季节 季度 贾斯 路上 路由 路过 路易 危险 童装 童年 童车 颜色 颜值 梅花 梅干 盛典 盛大 林肯 钟表 钟头 徐福 徐州 骆驼 蔡司 田园 胡椒 胡萝 胡须 胡子 凌晨 管理 管家 管道 管用 宣传 "
    "郁闷 杭州 左旋 吉利 陆续 陆地 荣耀 荣誉 羊毛 羊肉 羊绒 惠普 封面 封口 储存 储蓄 储物 段时 段落 焦糖 焦虑 车厘 车子 车上 车牌 车位 车载 车间 伊利 甘蔗 武汉 武器 符合 景区 景色 龙井 龙虾 叶子 叶酸 叶片 幸福 司机 黎明 印象 怀疑 索尼 赖账 卓越 蒙牛 "
    "池子 乔丹 乔治 桑叶 桑拿 桂圆 桂花 燕麦 燕窝 温水 庄园 柴油 柴火 艾灸 艾草 鱼油 容量 容易 向上 向下 向往 向日 廖廖 居家 居然 居住 衡水 广州 广告 广东 隆重 师傅 聂耳 冷冻 冷藏 冷水 冷静 沙发 沙宣 沙拉 沙滩 养生 丰富 丰收 查询 查看 查收 查到 查件 "
    "查过 后来 后面 红色 红包 红酒 红枣 红茶 权益 权限 益生 国家 国产 国庆 国内 国际 国货 国外 章节 章光 邓老 贝因 贝壳 贝贝 毛戈 潘婷 强生 罗技 罗莱 罗马 戴尔 戴森 戴上 戴着 史密 史上 施华 施耐 郎酒 张裕 张家 张嘴 李宁 李锦 王老 王者 王牌 王守 周大 周生 周黑 周末 "
    "周边 周一 周二 周三 周四 周五 周六 周日 周到 周期 周年 周围 吴裕 谢馥 谢谢 谢了 谢绝 华为 华硕 华联 华丽 华润 云南 毕竟 毕业 余额 余下 余款 傅立 来自 来电 来回 来说 来的 来不 来了 边上 边框 边缘 费心 严重 严格 严肃 严密 严实 齐全 齐刷 尤其 尤为 祝您 祝福 祝你 祝好 "
    "凡是 凡客 麦当 麦克 肖像 温补 温泉 薛定 邱比 左脚 左侧 右边 初中 初次 初三 初一 初级 初步 全棉 全屋 全额 全身 全面 全天 全自 占用 占地 强力 盛开 盛夏 盛装 平底 平米 平躺 平板 平价 平方 方盒 方块 常规 常年 常德 海外 海淘 海关 和田 和谐 和我 和你 和他 和她 "
    "明早 明晚 官方 官网 官旗 官宣 鲁花 鲁班 夏凉 夏威 秦皇 唐山 唐装 宁波 宁夏 宁愿 宁可 安徽 安慰 安利 安佳 安耐 黄酒 黄豆 黄冈 金华 金士 金丝 金条 金银 金针 石膏 石材 江湖 车票 车主 车库 车险 向我 向您 费时 路边 路费 路线 路程 关机 关掉 关店 应当 应有 单反 单层 单面 "
    "单人 单鞋 单肩 万元 万分 万达 万年 包包 包月 包年 包子 包退 包换 包赔 贺卡 贺岁 贺年 阳光 阳台 阳性 阳澄 冷风 冷敷 祝贺 莫代 莫斯 房产 房租 房卡 卜卜 寇驰 商务 商标 商用 商量 国美 国标 国风 封装 封箱 封闭 帅气 初心 花朵 花纹 花样 花洒 花呗 花卉 花束 花茶 成立 陆军 于家 于中 任国 向民 诸侯 单价 严选 高性 高质 高清 安心 安排 常温 边角 金属 金枕".split()
)
"""First two characters of everyday words and brands that begin like a name."""

BRANDS = frozenset(
    "李宁 王老吉 江小白 周大福 周生生 周黑鸭 马应龙 康师傅 徐福记 王守义 李锦记 张小泉 张裕 王麻子 方太 安踏 华为 白象 金龙鱼 毛戈平 任天堂 蓝月亮 谢馥春 吴裕泰 苏泊尔 戴森 "
    "戴尔 罗技 罗莱 潘婷 沙宣 强生 韩束 韩后 马克华菲 马迭尔 卫龙 林清轩 祖玛珑 夏普 欧莱雅 欧普 谭木匠 章光 邓老 卓诗尼 柳宗理 黄天鹅 田园主义 万和 万家乐 司康 雷蛇 雷神 倪叔 秦始皇 "
    "武则天 诸葛亮 曹操 刘备 孙悟空 林黛玉 贾宝玉 张飞 关羽 赵云 吕布 花木兰 杨贵妃 白素贞 哪吒 金典 贺氏 郎酒 曲美 纪梵希 高露洁 高洁丝 高夫 施华蔻 巴黎 华润 海天 海底捞".split()
)

TRANSLITERATED_WORDS = (
    "阿迪 阿玛 阿斯 阿里 阿胶 阿迪达 迪卡 卡西 卡迪 卡尔 加拿 加多 马来 马卡 马拉 拉夫 拉菲 拉卡 达利 达能 达芙 巴尔 巴西 巴宝 西班 西门 西瓜 西部 尼康 尼斯 尼尔 亚马 亚瑟 洛阳 日本 日子 日常 "
    "日立 日记 格力 格子 格兰 明天 明白 明明 外卖 外面 外套 外壳 力度 艾草 艾灸 艾玛 古代 古典 娜扎 提拉 提前 提交 提示 海尔 海鲜 海外 古驰 买的 买了 买家 买单 麦当 麦片 真的 真是 白色 才能 才到 强力 确认 "
    "木头 生活 生日 山东 山西 曼谷 勒克 增加 合适 合同 合格 合作 热水 热情 热卖 热销 克拉 木质 木马 拜托 拜访 努力 沙发 沙拉 玉米 玉兰 玉石 玉器 森马 森林 罗马 松下 桑拿 金额 金属 旺旺 尔后 图片 那么 那个 如果 如何 宝马 斯凯".split()
)
"""Beginnings of brands and words that are made of the same characters as transliterated names."""

TRANSLITERATION = frozenset(
    "卜杜沙布比汉沃扎苏迈阿艾买提古丽娜尔吐逊江木合麦热依克拜力甫卡迪夏吾布都拉肉孜海里赛牙生马哈穆萨德日居来提帕提曼汗祖农伊斯玛加那孜巴图额敏帕孜勒提塔吉依明努尔别克沙吾提再娜"
    "普阿依加米拉希仁姑丽菲达外力亚森艾山玉素甫苏里坦铁木克孜其曼苏哈得洛茨旺嘉措多才让卓玛次真平白珍央金格桑朗扎西罗松贡觉达瓦边巴尼顿珠强确吉云丹增益"
    "乌兰图雅其格那仁朝鲁巴雅尔敖特根斯琴高娃呼和额尔登苏日托娅宝音萨如拉"
)

TIBETAN_PARTS = (
    "扎西 顿珠 卓玛 次仁 多吉 平措 尼玛 达瓦 巴桑 拉姆 央金 白玛 格桑 丹增 洛桑 索朗 旦增 仁增 贡布 群培 米玛 普布 边巴 曲珍 德吉 旺堆 旺姆 加措 嘉措 坚赞 罗布 强巴 次旦 央宗 措姆 "
    "才让 卓嘎 拉巴 桑珠 桑吉 晋美 阿旺 土登 益西 云丹 次旺 次珍 仓决 赤列 欧珠 旺久 旺扎 平杰 朗杰 罗桑 白珍 仁青 仁钦 贡嘎 贡觉 班丹 班觉 索南 拉毛 卓么 桑杰 南杰 南卡 久美 更登 "
    "尕藏 才旦 多杰 完玛 旦巴 扎巴 洛追 热杰 江措 俄色 泽仁 拥措 志玛 其美 曲扎 曲批 曲央 巴珠 丹巴 嘎玛 噶玛 斯朗 四郎 泽旺 降措"
).split()

MONGOLIAN_PARTS = (
    "巴特尔 其其格 乌兰 苏日娜 娜仁 斯琴 高娃 萨仁 格日勒 图雅 托娅 哈斯 宝音 敖登 阿拉坦 朝鲁 布和 乌云 毕力格 额尔德尼 呼斯楞 阿古拉 那日苏 特木尔 苏和 乌日娜 萨日娜 娜布其 塔娜 "
    "巴雅尔 孟和 吉日嘎拉 斯日古楞 青格勒 白音 巴图 满都拉 朝克图 朝格图 达来 牧仁 铁木尔 奥登 通拉嘎 娜日苏 查干"
).split()

GIVEN_ENGLISH = frozenset(
    "aaron abigail adam adrian aidan alan albert alex alexander alexandra alexis alfred alice alicia allison amanda amber amelia amy andrea andrew angela anita ann anna anne "
    "annie anthony antonio aria arthur ashley audrey aurora ava barbara beatrice ben benjamin bernard beth betty beverly bianca bill billy bob bobby bonnie brad bradley "
    "brandon brenda brian brittany bruce bryan caleb cameron carl carla carlos carol caroline carolyn catherine cathy charles charlie charlotte chelsea cheryl chloe chris "
    "christian christina christine christopher cindy claire clara colin connor craig crystal cynthia daisy dan daniel danielle danny dave david dawn dean debbie deborah "
    "debra dennis derek diana diane diego dominic don donald donna dorothy doris doug douglas dylan ed eddie edgar edith edward edwin eileen elaine eleanor elena eli "
    "elijah elizabeth ella ellen ellie emily emma eric erica erik erin ernest ethan eugene eva evan evelyn fatima felix fiona florence frances frank fred freddie gabriel "
    "gary gavin george gerald gina glenn gloria grace graham greg gregory hannah harold harper harry harvey hassan hazel heather helen henry holly howard hugh ian imran "
    "irene isaac isabel isabella isla ivan jack jackie jackson jacob jade jake james jamie jan jane janet janice jasmine jason jay jean jeff jeffrey jen jennifer jenny "
    "jeremy jerry jesse jessica jessie jill jim jimmy joan joanna joanne jodie joe joel john johnny jon jonathan jordan jorge jose joseph josh joshua joy joyce juan judith "
    "judy julia julian julie julio justin karen karl kate katherine kathleen kathryn kathy katie kayla keith kelly ken kenneth kenny kevin kim kimberly kirsten kyle lars laura "
    "lauren laurence lawrence leah lee leo leon leonard leslie lewis liam lillian lily linda lisa logan lois lorraine louis louise lucas lucy luis luke lydia lynn mabel "
    "madison maggie malcolm marc marcus margaret maria marie marilyn mario marion mark marlene martha martin marvin mary mason mateo matt matthew maureen maurice max maya "
    "megan mei melanie melissa mia michael michelle miguel mike mila miles miranda mohamed mohammed molly monica morgan muhammad nadia nancy naomi natalie natasha nathan neil "
    "nicholas nick nicola nicole nina noah noel nora norma norman olga oliver olivia omar oscar owen pablo pam pamela patricia patrick paul paula pauline pedro peggy penelope "
    "penny peter phil philip phillip phoebe phyllis priya rachel raj ralph randy raymond rebecca ricardo richard rick rita rob robert roberta robin rodney roger ron ronald "
    "rosa rosie ross roy ruby russell ruth ryan sally sam samantha samuel sandra sandy sara sarah scott sean sebastian shane shannon sharon shaun shawn sheila shirley simon "
    "sofia sonia sophia sophie stacey stanley stella stephanie stephen steve steven stuart sue susan suzanne sylvia tanya tara ted teresa terry theo theodore theresa thomas "
    "tiffany tim timothy tina todd tom tommy tony tracy travis trevor valerie vanessa vera veronica vicki vicky victor victoria vincent violet virginia vivian walter wanda "
    "warren wayne wendy wesley will william willie wyatt xavier yasmin yolanda yvonne zach zachary zara zoe".split()
)

PINYIN_SURNAMES = frozenset(
    "wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he lin gao luo zheng liang xie song tang han feng deng cao peng zeng xiao tian dong pan yuan cai "
    "jiang yu du ye cheng wei su lu lv ding ren yao shen zhong cui tan fan liao shi jin jia xia fu fang zou xiong bai meng qin qiu hou yin xue yan lei duan tao hao gu "
    "gong shao wan qin qian dai mo kong xiang chang ouyang sima nguyen kim park lee patel singh kumar sharma tran pham chan wong leung cheung lau ng chow yip ho".split()
)

WORDS_ENGLISH = frozenset(
    "a about account again all also always am amazon an and android any apple are as ask at avenue back bad bank be because been belt best better big black blue bought box brand but "
    "buy by call can card cash cheap china chinese city code color colour contact could coupon court customer data date day days dear deliver delivered delivery did do does dollar done "
    "door dress drive each email english even ever every everyone excellent express fast fine first five for free friday friend from front gift give glad go good got great green happy "
    "hard has have he hello help her here hi his hotel house how i if in is it item items its january february march april may june july august september october november december jeans "
    "just keep kind know last late leave left like list long looking love made mail main man many march me member monday more most mr mrs ms much my name need never new next nice no not "
    "nothing now number of off ok old on one only online or order our out package paid paris part pay payment perfect perfume phone please post price product quality quick quite real really "
    "received red refund regards reply return review road sad said same saturday seattle second see seller send service shall she ship shipping shoes shop short should size small so some "
    "someone soon sorry staff still store street sunday super support sure sydney take team tell thank thanks that the their them then there these they thing this three thursday time to "
    "today tomorrow too total tracking tuesday two under unit until up update us usa use very version waiting want was we wednesday week well went were what when where which who why will "
    "with work worked working would wrong year yes yesterday yet you your iphone samsung huawei xiaomi nike adidas london leeds boston chicago york shanghai beijing sir madam guys folks both hey".split()
)

BRANDS_ENGLISH = frozenset(
    "calvin klein|levi strauss|tommy hilfiger|ralph lauren|michael kors|jo malone|hugo boss|tory burch|kate spade|marc jacobs|vivienne westwood|alexander wang|alexander mcqueen|"
    "stella mccartney|paul smith|jimmy choo|harry potter|charlotte tilbury|bobbi brown|estee lauder|elizabeth arden|giorgio armani|karl lagerfeld|jack wolfskin|jack daniels|"
    "jack daniel|johnnie walker|ben sherman|fred perry|tom ford|oscar mayer|sara lee|uncle ben|jack jones|mary kay|helena rubinstein|taylor swift|anna sui|christian dior|"
    "christian louboutin|donna karan|carolina herrera|laura mercier|peter rabbit|hello kitty|ray ban|dr martens|doc martens|santa claus|john lewis|john deere|dan brown|"
    "ted baker|kurt geiger|nina ricci|paco rabanne|oscar renta|thomas sabo|daniel wellington|ruby woo|ellen tracy|lily pulitzer|victoria secret|sam adams|ben jerry|wendy house".split(
        "|"
    )
)

AMBIGUOUS_GIVEN = frozenset(
    "jan rita will may mark grace joy rose daisy ruby jack bill rob max don jasmine violet lily victoria jordan chelsea austin florence madison logan paris carol amber april august june "
    "dawn faith hope holly hunter ivy jade pearl penny peggy ray rich rusty sandy skip sky sue summer terry ted tiffany tony troy van ward wade wendy penny robin scarlett "
    "sienna virginia vegas brooklyn dallas houston london phoenix sydney israel china asia india diamond crystal ginger heather iris olive pepper basil bob barb billy bobby "
    "charity christian art angel angela apollo aurora blue bella bonnie brandy brie buddy candy carter cash chip chuck clay cliff dean dick drew duke earl eve frank gene glen "
    "guy hank harper hazel heath herb jean jeans jerry jersey jimmy john kitty lance laurel lee leo mac mason mercedes mia miles miranda molly morgan nick olivia oscar owen pat "
    "pierce piper prince randy reed ross roy sage sally sam sapphire stella stone taylor victor vera warren wayne wood zara gloria emma luna nova zoe joe louis alexander martin "
    "marc kate tommy hugo ralph michael calvin levi ann anna mary".split()
)
"""Given names that are words, places or brands as well: alone they prove nothing."""
